"""To other harnesses: our tasks and our model in lm-evaluation-harness, our runs in inspect's viewer."""
