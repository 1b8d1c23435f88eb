"""Failovers of a store that sentinels watch, counted by a journal of its own.

Nobody may get in twice with one code, and nothing that was accepted may be unknown afterwards.
"""
