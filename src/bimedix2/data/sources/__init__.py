"""One file per public data set: its original files in, records out."""
