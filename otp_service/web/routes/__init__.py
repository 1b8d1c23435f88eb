"""The endpoints, one file for each resource. A route stands beside its handler."""
