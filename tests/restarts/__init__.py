"""Rolling restarts under load: whether a request or a code is lost while processes are restarted one after the other.

`python -m tests.restarts` does it at length; the tests here do it once.
"""
