"""The apps' own receivers: how callbacks and risk questions are signed, where they may go, and how each is posted."""
