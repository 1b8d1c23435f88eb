"""The digests of a code: bound to its app, number and context, and to its verification or to its purpose."""

from ...domain import codes
from ...domain.ids import Reference
from ...domain.keyed_hash import KeyedHash
from ...domain.policy import App


def code_digest(
    pepper: KeyedHash, app: App, ref: Reference, context_hash: str, code: str, *, purpose: str | None = None
) -> str:
    """The digest in hex of a code for this verification; with a purpose, for the latest of the reference's number.

    `context_hash` as `codes.context_hash` gives it.
    """
    number, name = ref.number_hash, app.name
    if purpose is not None:
        return codes.digest_by_number(
            pepper, app=name, purpose=purpose, number_hash=number, context=context_hash, code=code
        )
    return codes.digest(
        pepper,
        app=name,
        verification_id=ref.verification_id,
        number_hash=number,
        context=context_hash,
        code=code,
    )
