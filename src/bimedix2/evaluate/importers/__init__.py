"""Other harnesses' prediction files as samples and replies, one format a file; each module has a constant IMPORTER."""
