"""What is published of the signed log over the ledger."""

from typing import Protocol


class PublishedLog(Protocol):
    """Each method raises StoreUnavailable if the ledger does not answer."""

    def checkpoint(self) -> str | None:
        """The newest checkpoint with its cosignatures; None while there is none."""
        ...

    def keys(self) -> tuple[str | None, list[str]]:
        """The verifier key that signed first, and the last checkpoints of old keys, each naming the next key."""
        ...

    def take_cosignature(self, key: str, raw: str, now_ms: int) -> bool | None:
        """Keep what a witness says of a checkpoint; whether the witness is new. None if there is no such checkpoint.

        `key` is the witness's verifier key. Raises ValueError if it is not good, or if there are witnesses enough.
        """
        ...

    def tile(self, level: int, number: int, width: int) -> bytes | None:
        """The tile, as wide as asked for; None if no checkpoint needs it."""
        ...

    def entries(self, number: int, width: int) -> bytes | None:
        """The records of the tile on level 0; None if no checkpoint needs them."""
        ...

    def proof(self, name: str, app: str | None) -> str | None:
        """The proof of a record of this app (None: of any); None if there is none, or if it is not signed yet."""
        ...
