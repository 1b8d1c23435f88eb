"""What runs: the processes, and how they start, end and are restarted."""
