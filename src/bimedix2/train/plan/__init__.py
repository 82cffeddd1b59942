"""Which sample is trained on when: mixing, packing, order. Pure functions of lengths and a seed."""
