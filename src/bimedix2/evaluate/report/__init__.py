"""A run as one page to look at: tables beside published figures, charts, and every sample with its raw reply."""
