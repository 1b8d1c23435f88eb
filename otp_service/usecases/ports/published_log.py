"""What is published of the signed log over the ledger."""

from typing import Protocol


class PublishedLog(Protocol):
    """Each method raises StoreUnavailable if the ledger does not answer."""

    def checkpoint(self) -> str | None:
        """The newest checkpoint with its cosignatures; None while there is none."""
        ...

    def rotations(self) -> list[str]:
        """The last checkpoints of old keys, oldest first: each names the next key."""
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
