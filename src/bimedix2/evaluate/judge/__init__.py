"""A model as judge: what it is asked, what it said, and how far it agrees with people."""
