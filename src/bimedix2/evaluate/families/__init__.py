"""Ways of scoring, one a file; each module has a constant FAMILY."""
