"""A simulation of SMS pumping: seeded traffic and attacks against the guard's rules and two other defences.

The guard here is `domain.guard` itself, on the simulation's clock. Nothing is sent and no store is needed.
"""
