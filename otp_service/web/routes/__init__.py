"""The endpoints: one module for each resource, a route beside its handler."""
