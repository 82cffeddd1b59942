"""From a pack to its loss: tensors, attention, model, head."""
