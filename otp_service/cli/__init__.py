"""The commands, one file for each group. Thin: parse, call, print."""
