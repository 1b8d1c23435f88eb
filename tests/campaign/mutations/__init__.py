"""Does the judge see? Each mutation breaks the service in one way, and the judge must say which promise fell."""
