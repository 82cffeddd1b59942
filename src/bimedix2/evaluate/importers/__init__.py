"""Other harnesses' prediction files as samples and replies."""
