"""The Redis side: keys, scripts and the places where things are kept. Nothing else builds a key or speaks to Redis."""
