"""Recomputing decisions from the record: what a decision knew (`history`), and what the rules say of it (the others).

No rule stands here a second time: budgets, ladder and caps are those of `domain.person`, the route's of
`domain.routing`, failover's of `domain.failover`. What the record does not hold is taken as recorded, and said so.
"""
