"""The Redis side: keys, scripts and one store for each kind of data. Nothing else builds a key or speaks to Redis."""
