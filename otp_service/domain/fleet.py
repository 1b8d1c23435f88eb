"""What the processes of an installation say of themselves, and how they differ."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

KEPT_MS = 30_000
"""A process that has said nothing for so long is gone."""

MOST_NAMED = 12
"""So many settings that differ are named in one line."""

EVERY_S = 10.0
"""How often a process says what it is."""

MAX_SKEW_MS = 2_000
"""More difference than this between the clock of a process and the store's is wrong."""

API, WORKER = "api", "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """What one process says. `configuration` has a keyed hash of each setting; `keyring` names the index key.

    `ahead_ms`: how far its clock is ahead of the store's. Of the API alone: `webhook_keys` names the keys that it
    expects the carrier to sign with; `webhooks_good`, `webhooks_stale` (good ones of another time) and
    `webhooks_refused` count signatures of the last minutes.
    """

    role: str
    host: str
    pid: int
    version: str
    configuration: Mapping[str, str] = field(default_factory=dict)
    keyring: str
    key_ids: tuple[str, ...]
    ahead_ms: int = 0
    webhook_keys: str = ""
    webhooks_good: int = 0
    webhooks_stale: int = 0
    webhooks_refused: int = 0

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.role} {self.pid} on {self.host}" if self.pid else self.role

    @property
    def facts(self) -> str:
        """Everything that must be the same elsewhere, and the clock, in one line for people."""
        parts = "|".join(f"{part}={value}" for part, value in sorted(self.configuration.items()))
        named = hashlib.sha256(parts.encode()).hexdigest()[:8]
        keys, ahead_s = ", ".join(self.key_ids), self.ahead_ms / 1000
        return (
            f"version {self.version}, configuration {named}, keyring {self.keyring} with {keys}, clock {ahead_s:+.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What is not the same in all processes, and what to do about it."""

    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Compared:
    """One thing that must be the same; a process without a value says nothing about it."""

    subject: str
    what_to_do: str
    value_of: Callable[[ProcessRecord], str]


_SAME = (
    _Compared("version", "a rolling update ends this, else restart those that are behind", lambda one: one.version),
    _Compared("keyring", "give all the keyring that the store belongs to", lambda one: one.keyring),
    _Compared("keys", "bring the newest keyring file everywhere", lambda one: " ".join(one.key_ids)),
    _Compared(
        "webhook key",
        "give all the same TELNYX_PUBLIC_KEY and restart those with another",
        lambda one: one.webhook_keys,
    ),
)
_RESTART = "give all the same and restart those that are behind"


def differences(processes: Sequence[ProcessRecord]) -> Iterator[Difference]:
    """What differs, a sentence each."""
    yield from _differ(_SAME[0], processes)
    yield from _configurations(processes)
    for compared in _SAME[1:]:
        yield from _differ(compared, processes)


def _configurations(processes: Sequence[ProcessRecord]) -> Iterator[Difference]:
    """The settings that differ, in one sentence where the same processes stand on each side."""
    differing: dict[tuple[str, ...], list[str]] = {}
    whole = set[str]()
    for setting in sorted({setting for one in processes for setting in one.configuration}):
        groups = _groups(_setting(setting), processes)
        # Where one has an app that another has not, nothing more is said of the settings of apps.
        if len(groups) > 1 and setting.partition(".")[0] not in whole:
            whole.add(setting)
            sides = tuple(sorted(", ".join(sorted(names)) for names in groups.values()))
            differing.setdefault(sides, []).append(setting)
    for sides, settings in differing.items():
        more = f" and {len(settings) - MOST_NAMED} more" if len(settings) > MOST_NAMED else ""
        named = ", ".join(settings[:MOST_NAMED]) + more
        detail = f"{named}: not the same everywhere ({' · as opposed to · '.join(sides)}); {_RESTART}"
        yield Difference("configuration", detail)


def _setting(name: str) -> Callable[[ProcessRecord], str]:
    return lambda one: one.configuration.get(name, "")


def _groups(value_of: Callable[[ProcessRecord], str], processes: Sequence[ProcessRecord]) -> dict[str, list[str]]:
    """The names of the processes by their value; a process without one is left out."""
    groups: dict[str, list[str]] = {}
    for one in processes:
        if value_of(one):
            groups.setdefault(value_of(one), []).append(one.name)
    return groups


def _differ(compared: _Compared, processes: Sequence[ProcessRecord]) -> Iterator[Difference]:
    groups = _groups(compared.value_of, processes)
    if len(groups) > 1:
        listed = "; ".join(f"{value}: {', '.join(sorted(names))}" for value, names in sorted(groups.items()))
        yield Difference(compared.subject, f"not the same everywhere ({listed}); {compared.what_to_do}")


def wrong_clocks(processes: Sequence[ProcessRecord]) -> Iterator[Difference]:
    """Processes whose clock is too far off the store's."""
    for one in processes:
        if abs(one.ahead_ms) > MAX_SKEW_MS:
            side = "ahead of" if one.ahead_ms > 0 else "behind"
            detail = f"that of {one.name} is {abs(one.ahead_ms) / 1000:.1f} s {side} the store's; set both by NTP"
            yield Difference("clock", detail)


def webhook_verdicts(processes: Sequence[ProcessRecord]) -> Iterator[Difference]:
    """Keys with which not one signature of the last minutes was good, although webhooks came."""
    for keys in sorted({one.webhook_keys for one in processes}):
        users = [one for one in processes if one.webhook_keys == keys]
        refused, stale = (sum(getattr(one, f"webhooks_{kind}") for one in users) for kind in ("refused", "stale"))
        if any(one.webhooks_good for one in users):
            continue
        if stale:
            yield Difference(
                "webhook clock",
                f"{stale} had a good signature of another time, and none was of now: the clock here is wrong, or "
                "somebody posts old webhooks again; set the clocks of this machine and of the store's by NTP",
            )
        elif refused:
            yield Difference(
                "webhook signatures",
                f"none of the last {refused} was good: TELNYX_PUBLIC_KEY ({keys}) is not the key that signs, or "
                "somebody else posts webhooks; compare it with the carrier's portal",
            )
