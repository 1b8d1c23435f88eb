"""Limits as data: which of them a start or a guess meets, and whose slots it takes in each.

The fields of an app and of `[service]` are shorthand for entries of the same list. Those that count by the number are
judged in the number's own scripts; all others, and every entry of `[[limits]]`, on a shard of their own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from .addresses import end_user
from .codes import length_prefixed
from .policy import App, CountedBy, LimitEvent, LimitKey, NamedLimit, NumberLimits, Policy, Slot

_BLOCK_DIGITS = 4
_HASH_BYTES = 16
_OF_CALLERS = frozenset({LimitKey.CLIENT_IP, LimitKey.DEVICE, LimitKey.CUSTOM})
_OF_THE_APP = frozenset({LimitKey.DEVICE, LimitKey.CUSTOM})

OF_GUESSES = frozenset({LimitKey.APP, LimitKey.NUMBER, LimitKey.CLIENT_IP, LimitKey.DEVICE, LimitKey.CUSTOM})
"""What is known of a guess. Of its number there is the hash alone."""


@dataclass(slots=True)
class Counted:
    """What a start or a guess is counted by. `number`: its keyed hash. `e164` is empty where it is not known."""

    app: str
    number: str
    client_ip: str | None = None
    device: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)
    e164: str = ""
    country: str = ""
    sender: str = ""


def shorthand(app: App, everywhere: NumberLimits) -> tuple[NamedLimit, ...]:
    """The fields of an app and of `[service]` as entries of the list, under their own names."""
    own, number = CountedBy(LimitKey.APP), CountedBy(LimitKey.NUMBER)
    address, guess = CountedBy(LimitKey.CLIENT_IP), LimitEvent.WRONG_CODE
    return (
        NamedLimit("wrong_codes_per_number", (own, number), guess, app.wrong_codes_per_number),
        NamedLimit("service.wrong_codes_per_number", (number,), guess, everywhere.wrong_codes),
        NamedLimit("service.sends_per_number", (number,), LimitEvent.SEND, everywhere.sends),
        NamedLimit("starts_per_number", (own, number), LimitEvent.START, app.starts_per_number),
        NamedLimit("starts_per_client_ip", (own, address), LimitEvent.START, app.starts_per_client_ip),
        NamedLimit("starts_per_app", (own,), LimitEvent.START, app.starts_per_app),
    )


RESERVED = frozenset(one.name for one in shorthand(App("", "", ()), NumberLimits())) | {
    "resend_after",
    "consecutive_wrong_codes",
}
"""Names that no entry of `[[limits]]` may have: refusals use them."""


def outer_limits(policy: Policy, app: App, *events: LimitEvent) -> tuple[NamedLimit, ...]:
    """The limits of these events that are judged apart from the number."""
    by_number = CountedBy(LimitKey.NUMBER)
    own = [one for one in shorthand(app, policy.per_number) if one.rules and by_number not in one.keys]
    further = [one for one in policy.limits if one.is_for(app.name)]
    return tuple(one for one in (*own, *further) if one.event in events)


_OF_NUMBERS = frozenset({LimitKey.APP, LimitKey.NUMBER, LimitKey.PREFIX, LimitKey.COUNTRY, LimitKey.SENDER})
"""What is known of a number alone."""


def met_by_number(
    policy: Policy, app: App, counted: Counted, digest: Callable[[bytes], bytes]
) -> Iterable[tuple[NamedLimit, Slot]]:
    """Every limit apart from the number that it meets in this app whoever asks, with a slot in each rule.

    `counted`: app, number and country. A limit that also counts by what a caller says is another one for each of those.
    """
    for limit in outer_limits(policy, app, *LimitEvent):
        if not _OF_NUMBERS.issuperset(one.key for one in limit.keys):
            continue
        by_sender = any(one.key is LimitKey.SENDER for one in limit.keys)
        for sender in app.route if by_sender else app.route[:1]:
            of_sender = replace(counted, sender=sender.name)
            yield from ((limit, slot) for slot in slots([limit], of_sender, digest))


def slots(limits: Iterable[NamedLimit], counted: Counted, digest: Callable[[bytes], bytes]) -> list[Slot]:
    """A slot in each rule of these limits, for each subject. `digest`: a keyed hash, which subjects stand under.

    A limit that counts by what is not known (no `client_ip` was given) does not apply.
    """
    return [
        Slot(one.name, subject, rule, one.is_monitored, one.event is LimitEvent.SEND, _is_of_caller(one))
        for one in limits
        for subject in _subjects(one, counted, digest)
        for rule in one.rules
    ]


def is_of_number(limit: NamedLimit) -> bool:
    """Whether it counts by the number, alone or together with something else."""
    return any(one.key is LimitKey.NUMBER for one in limit.keys)


def counts_by_caller(limit: NamedLimit) -> bool:
    """Whether it counts by what a caller may leave unsaid. Then it does not apply."""
    return any(one.key in _OF_CALLERS for one in limit.keys)


def _is_of_caller(limit: NamedLimit) -> bool:
    return is_of_number(limit) and not _OF_NUMBERS.issuperset(one.key for one in limit.keys)


def _subjects(limit: NamedLimit, counted: Counted, digest: Callable[[bytes], bytes]) -> Iterable[str]:
    own = (counted.app,) if any(one.key in _OF_THE_APP for one in limit.keys) else ()
    for values in product(*(_values(one, counted) for one in limit.keys)):
        text = b"limit\0" + length_prefixed(*own, *values)
        yield digest(text)[:_HASH_BYTES].hex()


def _values(by: CountedBy, counted: Counted) -> Sequence[str]:
    """The values of one key: none, one, or the members of `limit_keys`, each with its name."""
    match by.key:
        case LimitKey.CUSTOM:
            return [f"{name}\0{value}" for name, value in counted.custom.items() if by.member in ("", name)]
        case LimitKey.CLIENT_IP:
            return [] if counted.client_ip is None else [end_user(counted.client_ip)]
        case LimitKey.DEVICE:
            return [] if counted.device is None else [counted.device]
        case LimitKey.PREFIX:
            return [counted.e164[:-_BLOCK_DIGITS]] if counted.e164 else []
        case LimitKey.APP:
            value = counted.app
        case LimitKey.NUMBER:
            value = counted.number
        case LimitKey.COUNTRY:
            value = counted.country
        case LimitKey.SENDER:
            value = counted.sender
    return [value] if value else []
