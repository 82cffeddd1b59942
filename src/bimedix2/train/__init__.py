"""Training: recipes, packs, the loop, checkpoints."""
