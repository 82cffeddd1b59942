"""What writes the answers, behind one protocol."""
