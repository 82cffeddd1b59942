"""Data: public sets in, records out."""
