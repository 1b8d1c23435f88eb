"""The rules: pure values and functions. Time and chance are arguments; no I/O is here."""
