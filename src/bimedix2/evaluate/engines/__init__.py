"""What answers samples: this package's models and OpenAI-compatible servers."""
