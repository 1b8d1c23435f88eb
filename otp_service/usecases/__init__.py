"""The stories: one verb a file. They see ports, never a framework, a server or a carrier's words."""
