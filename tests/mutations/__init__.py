"""A mutation run of the core: one small change after the other in scripts and domain, and whether a test fails."""
