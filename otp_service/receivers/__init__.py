"""The apps' own receivers: how callbacks are signed, where they may go, and how one is posted."""
