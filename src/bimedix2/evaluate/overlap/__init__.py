"""Which evaluation items a model may have seen in training, and what that does to its score."""
