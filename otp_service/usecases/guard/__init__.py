"""The pumping guard: which starts fill budgets, what refuses, and what an approval gives back.

A known number is told by its own shard, in the step of its start, and no budget is asked about it. Only for a number
that is neither known nor counted the app's budgets are asked, in one atomic step, and its own step runs again with
their verdict. So a start of a known number goes to the store as often as without a guard.
"""

from .guard import Guard, GuardedRequest
from .guarded_starts import GuardedStarts
from .notes import Notes
from .reports import GuardReports
from .safelist import SafeList

__all__ = ["Guard", "GuardReports", "GuardedRequest", "GuardedStarts", "Notes", "SafeList"]
