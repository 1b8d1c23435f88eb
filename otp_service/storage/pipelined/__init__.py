"""The store's client for an event loop: one connection per process and node, shared by all requests.

The commands that all requests of one loop iteration send leave in one write, and replies come back in their order. So a
server reads and answers many commands with one system call, and a request costs no connection, lock or thread.

`client.PipelinedClient` stands where redis-py's client stands in `Store` and `Scripts`; the errors are redis-py's.
"""
