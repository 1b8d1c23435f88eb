"""The secrets outside the store: what is sealed, signed, peppered and hashed with them."""

from collections.abc import Mapping
from typing import Protocol

from ...domain.ids import Ids
from ...domain.keyed_hash import KeyedHash


class Ring(Protocol):
    """The keys as of one moment (see `keyring`)."""

    @property
    def peppers(self) -> Mapping[str, KeyedHash]:
        """The pepper of every key, by key id."""
        ...

    @property
    def active_kid(self) -> str:
        """The id of the key that seals and signs now."""
        ...

    def seal(self, plain: bytes) -> str:
        """Encrypt and authenticate with the active key: `kid:base64`."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature (64 bytes) by the active key."""
        ...


class Vault(Protocol):
    """The keys; new ones may come and another become active meanwhile (see `keyring_reload`)."""

    def current(self) -> Ring:
        """The keys of this moment; they do not change any more."""
        ...

    def knows(self, kid: str) -> bool:
        """Whether a key of this id is known."""
        ...

    @property
    def ids(self) -> Ids:
        """Makes and reads ids, and hashes numbers, with the index key."""
        ...

    def seal(self, plain: bytes) -> str:
        """As of this moment, see `Ring`."""
        ...

    def seal_alike(self, plain: bytes) -> str:
        """As `seal`, but equal values have equal seals."""
        ...

    def open(self, sealed: str) -> bytes:
        """Undo `seal` and `seal_alike`. Raises KeyUnknown and SealBroken."""
        ...

    def verify(self, kid: str, signature: bytes, message: bytes) -> bool:
        """Whether the key `kid` made the signature."""
        ...


class KeyIds(Protocol):
    """The ids of the keys that any process has had in its keyring."""

    def known(self, kid: str) -> bool:
        """Whether some process has had a key of this id."""
        ...
