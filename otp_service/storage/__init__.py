"""The stores in Redis: keys, scripts, and one class for each kind of record. No other code calls Redis."""
