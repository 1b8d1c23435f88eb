"""Who signs checkpoints: the keyring's keys, each with the name of the log."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from ..keyring import Keyring
from ..transparency.notes import Signer, VerifierKey
from .signing import Signers


def origin_of(public_url: str) -> str:
    """The name that a log begins with: the public host and `/audit`."""
    return f"{urlsplit(public_url).netloc.rpartition('@')[2]}/audit"


def signers_of(keyring: Callable[[], Keyring]) -> Signers:
    """The signers of the keyring of the moment."""

    def signers(origin: str) -> tuple[Signer, Sequence[Signer]]:
        active, known = keyring().checkpoint_keys()
        return _signer(origin, active), [_signer(origin, key) for key in known]

    return signers


def _signer(origin: str, secret: SigningKey) -> Signer:
    return Signer(VerifierKey(origin, bytes(secret.verify_key)), lambda message: secret.sign(message).signature)
