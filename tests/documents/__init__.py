"""The documents are true: what they print runs, and what they name exists."""
