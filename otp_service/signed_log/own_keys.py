"""The keys of the log as this machine's keyring knows them, which trusts no row of the database."""

from sqlalchemy import Connection

from ..transparency.checkpoints import LogKeys, read_checkpoint
from ..transparency.notes import NoteError, VerifierKey
from .log_store import LogStore
from .signing import Signers


def own_keys(connection: Connection, signers: Signers, origin: str) -> LogKeys:
    """From the key of the keyring that signed first. Raises NoteError where the changes of keys do not follow."""
    log = LogStore(connection)
    return LogKeys(_first(log, signers, log.origin() or origin), log.rotations())


def _first(log: LogStore, signers: Signers, origin: str) -> VerifierKey:
    active, known = signers(origin)
    try:
        lines = read_checkpoint(log.oldest_note() or "")[0].signatures
    except NoteError:
        return active.key
    signed = (signer.key for signer in known if any(line.is_of(signer.key) for line in lines))
    return next(signed, active.key)
