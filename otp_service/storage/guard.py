"""The budgets of the pumping guard. All of one app are in one slot: a script judges and fills those of a start at once.

The number itself is judged on its own shard (`verification/start`), which says whether the budgets are asked at all.
"""

from ..domain.guard.policy import GuardPolicy
from ..domain.guarding import Converted, GuardPlace, GuardVerdict, Report
from .guard_arguments import budget_keys, packed_policy, reports_of, verdict_of
from .schema import Keys
from .schema.encodings import flag
from .scripts import Scripts


class GuardBudgets:
    """The budgets of all apps of one store. Methods raise StoreUnavailable."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def take(self, app: str, place: GuardPlace, policy: GuardPolicy, *, quiet: bool = False) -> GuardVerdict:
        """Judge a start of an unknown number, and fill what it takes. `quiet`: a refusal changes nothing."""
        return self._judge(app, place, policy, look=False, quiet=quiet)

    def look(self, app: str, place: GuardPlace, policy: GuardPolicy) -> GuardVerdict:
        """What `take` would say; nothing is filled."""
        return self._judge(app, place, policy, look=True, quiet=False)

    def _judge(self, app: str, place: GuardPlace, policy: GuardPolicy, *, look: bool, quiet: bool) -> GuardVerdict:
        reply = self._scripts.call(
            "guard/take",
            budget_keys(self._keys, app, place.region),
            policy=packed_policy(policy),
            region=place.region,
            mode=place.mode,
            block_10k=place.block_10k,
            block_1k=place.block_1k,
            address=place.address,
            cost=repr(place.cost),
            look=flag(look),
            quiet=flag(quiet),
        )
        verdict = verdict_of(reply, place)
        assert verdict is not None
        return verdict

    def give_back(self, one: Converted, policy: GuardPolicy, *, approved: bool) -> tuple[Report, ...]:
        """Give back what the sends of a number took: with a credit where it was approved.

        It is not repeated where the answer is lost: then the budgets stay tighter than they need be until they drain.
        """
        reply = self._scripts.call(
            "guard/give_back",
            budget_keys(self._keys, one.app, one.region),
            repeat=False,
            policy=packed_policy(policy),
            region=one.region,
            block_10k=one.block_10k,
            block_1k=one.block_1k,
            why="approved" if approved else "unused",
            known=flag(one.known),
            taken=one.taken,
        )
        return reports_of(reply)

    def count_known(self, app: str, region: str, starts: int, policy: GuardPolicy) -> tuple[Report, ...]:
        """So many known numbers were sent codes."""
        keys = {"total": self._keys.total(app)}
        reply = self._scripts.call(
            "guard/count_known", keys, repeat=False, policy=packed_policy(policy), region=region, starts=starts
        )
        return reports_of(reply)
