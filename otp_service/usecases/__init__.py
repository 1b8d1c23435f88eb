"""The use cases: one verb a module. They know ports, and no framework, server or carrier."""
