"""What is remembered of one number, for those who support its owner, and taking it away."""

from collections.abc import Sequence

from ..domain.audit import EventType
from ..domain.ids import Reference
from ..domain.person import Also, Remembered, Sent, WrongCodes
from ..domain.policy import Slot
from . import schema
from .arguments import read_slots
from .schema import encodings
from .schema.fields import Number, Record, Refused
from .scripts import Scripts
from .store import Store, fields_of

LATELY_MS = 3_600_000
"""For so long after a refusal by the guard a lift lets the number pass."""

_WRONG_IN_APP = f"{Number.WRONG}:"


class People:
    """What one store remembers of numbers."""

    def __init__(self, store: Store, scripts: Scripts, keys: schema.Keys) -> None:
        self._store = store
        self._scripts = scripts
        self._keys = keys

    def remembered(self, number_hash: str) -> Remembered:
        """Everything that may count against the number. Raises StoreUnavailable."""
        (reply,), now_ms = self._store.read_at([("HGETALL", self._keys.number(number_hash))])
        found = fields_of(reply)
        return Remembered(
            now_ms=now_ms,
            sends=[_sent(text) for text in found.get(Number.SENDS, "").split(encodings.SendList.separator) if text],
            wrong={app: _wrong(text) for app, text in _behind(_WRONG_IN_APP, found) if text},
            wrong_everywhere=_times(found.get(Number.WRONG, "")),
            starts={app: _times(text) for app, text in _behind(Number.STARTS, found)},
            latest={_subject(slot): _token(text) for slot, text in _behind(Number.LATEST, found)},
        )

    def subjects(self, refs: Sequence[Reference]) -> set[str]:
        """The keyed hashes of the subjects for whom these verifications are. Raises StoreUnavailable."""
        commands = [("HGET", self._keys.record(ref), Record.SUBJECT) for ref in refs]
        return {str(found) for found in (self._store.read_at(commands)[0] if commands else ()) if found}

    def guard_refused(self, number_hash: str, app: str) -> bool:
        """Whether the app's guard refused the number within the hour. Raises StoreUnavailable.

        Other refusals of the number keep the key for longer than that, so the time is compared.
        """
        command = ("HGET", self._keys.start_refusals(number_hash, app), f"guard_refused{Refused.LAST}")
        (found,), now_ms = self._store.read_at([command])
        return found is not None and now_ms < int(found) + LATELY_MS

    def refused_by(self, number_hash: str, app: str) -> list[Slot]:
        """The limits that refused it within the hour together with what a caller said. Raises StoreUnavailable."""
        command = ("HGET", self._keys.start_refusals(number_hash, app), Refused.BY_SLOTS)
        (found,), _ = self._store.read_at([command])
        return [one.wanted for one in read_slots(found or "") if isinstance(one.wanted, Slot)]

    def lift_lock(self, number_hash: str, mask: str, app: str | None, reason: str, also: Also) -> list[str]:
        """Clear budget, ladder and caps of an app or of all; what had counted something, `also.names` among it.

        Raises StoreUnavailable.
        """
        k, shard = self._keys, self._keys.shard(number_hash)
        reply = self._scripts.call(
            "person/lift_lock",
            {"number": k.number(number_hash), "audit": k.audit(shard), "run": k.run(shard)},
            app=app or "",
            of_app=app or "",
            mask=mask,
            number_hash=number_hash,
            reason=reason,
            let_pass=",".join(encodings.GuardPass.pack(one, ms) for one, ms in also.let_pass.items()),
            also=list(also.names),
        )
        return [str(name) for name in reply]

    def lift_optouts(
        self, number_hash: str, mask: str, profiles: Sequence[str], app: str | None, reason: str
    ) -> list[str]:
        """Forget opt-outs of these profiles; those that stood. Raises StoreUnavailable."""
        k, shard = self._keys, self._keys.shard(number_hash)
        keys = {"optouts": k.optouts(number_hash), "audit": k.audit(shard), "opted_out": k.opted_out(shard)}
        reply = self._scripts.call(
            "person/lift_optouts",
            keys | {"run": k.run(shard)},
            of_app=app or "",
            mask=mask,
            number_hash=number_hash,
            reason=reason,
            profiles=list(profiles),
        )
        return [str(profile) for profile in reply]

    def record_shown(self, number_hash: str, mask: str, app: str | None) -> None:
        """Record that what stands against the person was shown. Raises StoreUnavailable."""
        k = self._keys
        self._scripts.call(
            "audit/append",
            {"audit": k.audit(k.shard(number_hash)), "throttle": k.unclear(number_hash)},
            event_type=EventType.PERSON_SHOWN,
            detail="{}",
            throttle_ms=0,
            app=app or "",
            mask=mask,
            number_hash=number_hash,
        )


def _behind(prefix: str, found: dict[str, str]) -> list[tuple[str, str]]:
    return [(name.removeprefix(prefix), text) for name, text in found.items() if name.startswith(prefix)]


def _sent(text: str) -> Sent:
    at_ms, app, purpose = encodings.SendEntry.parse(text)
    return Sent(int(at_ms), app, purpose)


def _wrong(text: str) -> WrongCodes:
    in_a_row, last_ms, times = encodings.WrongCodes.parse(text)
    return WrongCodes(int(in_a_row), int(last_ms), _times(times))


def _times(text: str) -> tuple[int, ...]:
    return tuple(int(at_ms) for at_ms in text.split(",") if at_ms)


def _subject(slot: str) -> tuple[str, str]:
    app, _, purpose = slot.partition(":")
    return app, purpose


def _token(text: str) -> str:
    return encodings.LatestEntry.parse(text)[0]
