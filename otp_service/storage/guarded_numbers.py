"""What the pumping guard keeps with a number: that a login of it ended well without its code."""

from ..domain.ending import Ended, NotFound
from ..domain.guard.policy import GuardPolicy
from ..domain.guarding import Converted
from ..domain.ids import Reference
from ..domain.verification import Status
from .guard_arguments import converted_of, guard_times
from .schema import Keys
from .scripts import Scripts


class GuardedNumbers:
    """The numbers of one store. Methods raise StoreUnavailable."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    def complete(self, ref: Reference, app: str, policy: GuardPolicy) -> Converted | NotFound | Ended | None:
        """The login of this verification ended well; None if that changes nothing, Ended if its person denied it."""
        keys = {"record": self._keys.record(ref)}
        return self._complete(ref.number_hash, ref.token, app, policy, keys)

    def approve(self, number_hash: str, app: str, policy: GuardPolicy) -> Converted | None:
        """Another factor of the number's owner was approved; None if that changes nothing."""
        found = self._complete(number_hash, "", app, policy, {})
        return found if isinstance(found, Converted) else None

    def _complete(
        self, number_hash: str, token: str, app: str, policy: GuardPolicy, more: dict[str, str]
    ) -> Converted | NotFound | Ended | None:
        k, shard = self._keys, self._keys.shard(number_hash)
        reply = self._scripts.call(
            "guard/complete",
            {"number": k.number(number_hash), "audit": k.audit(shard), "run": k.run(shard), **more},
            repeat=False,
            token=token,
            number_hash=number_hash,
            app=app,
            guard_rules=guard_times(policy),
        )
        match reply[0]:
            case "not_found":
                return NotFound()
            case "denied":
                return Ended(Status.DENIED)
            case _:
                return converted_of(app, reply[1])
