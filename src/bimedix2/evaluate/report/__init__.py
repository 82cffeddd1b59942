"""A run as one HTML page and as Markdown."""
