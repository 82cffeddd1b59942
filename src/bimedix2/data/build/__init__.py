"""The whole line from public sets to a training mix, as one recipe says."""
