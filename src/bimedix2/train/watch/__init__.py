"""Looking at a run: log lines, live view, status, plots, trackers."""
