"""Fixed texts that come before the model's own words, and when."""
