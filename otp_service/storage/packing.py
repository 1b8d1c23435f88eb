"""Commands as bytes, by hiredis. Texts that were read from bytes that are no text are written as they were read."""

from collections.abc import Sequence
from typing import Any

import hiredis


def packed(command: Sequence[Any]) -> bytes:
    """A command as it is sent: texts, bytes and plain numbers."""
    pack: Any = hiredis.pack_command
    try:
        return bytes(pack(tuple(command)))
    except UnicodeEncodeError:
        return bytes(pack(tuple(as_bytes(command))))


def as_bytes(command: Sequence[Any]) -> list[Any]:
    """The command with bytes in place of its texts."""
    return [part.encode(errors="surrogateescape") if isinstance(part, str) else part for part in command]


class Packer:
    """What redis-py's connections use in place of their own, which refuses such texts where hiredis is installed."""

    def pack(self, *command: Any) -> list[bytes]:
        """The command as it is sent; its name may have several words."""
        return [packed([*command[0].split(), *command[1:]])]
