"""A witness that follows logs: real ledgers, in process."""
