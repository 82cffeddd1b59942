"""Continuous batching over an in-process transformers model."""
