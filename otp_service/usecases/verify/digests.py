"""The digest of a code: bound to its app, verification, number and context."""

from ...domain import codes
from ...domain.ids import Reference
from ...domain.keyed_hash import KeyedHash
from ...domain.policy import App


def code_digest(pepper: KeyedHash, app: App, ref: Reference, context_hash: str, code: str) -> str:
    """The digest in hex of a code for this verification. `context_hash` as `codes.context_hash` gives it."""
    return codes.digest(
        pepper,
        app=app.name,
        verification_id=ref.verification_id,
        number_hash=ref.number_hash,
        context=context_hash,
        code=code,
    )
