"""The numbers of a guard's policy as scripts get them: one list, in which each has its place."""

import msgspec

from ...domain.guard.policy import GuardPolicy

_NOT_FOR_SCRIPTS = {"mode", "countries"}
NAMES = tuple(name for name in GuardPolicy.__struct_fields__ if name not in _NOT_FOR_SCRIPTS)


def pack(policy: GuardPolicy) -> bytes:
    """MessagePack, which a script reads several times as fast as JSON: it then has a list without names."""
    return msgspec.msgpack.encode([getattr(policy, name) for name in NAMES])


def constants() -> dict[str, str]:
    """What the scripts know of it: `GuardNumbers.SHARE` is the place of `share` in the list."""
    return {name.upper(): str(place) for place, name in enumerate(NAMES, 1)}
