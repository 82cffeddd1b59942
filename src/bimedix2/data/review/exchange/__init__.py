"""The queue for Argilla and Label Studio, and their answers back into the log."""
