"""Whose factors are meant: an app's own id of a person, or the id of a factor."""

from ..domain.errors import InvalidRequest
from ..domain.factors import Subject, is_subject, read_factor_id
from ..domain.ids import NUMBER_HASH_BYTES, Reference
from . import ports


class Subjects:
    """Reads subjects of callers. Their own ids are kept nowhere, only the keyed hashes."""

    def __init__(self, vault: ports.Vault) -> None:
        self._ids = vault.ids

    def of(self, app: str, text: str) -> Subject:
        """The subject of an app's own id. Raises InvalidRequest."""
        if not is_subject(text):
            detail = "1 to 128 printable characters"
            raise InvalidRequest("subject does not have the form it must have.", [("/subject", detail)])
        return self.named(app, self._ids.subject_hash(app, text))

    def named(self, app: str, subject_hash: str) -> Subject:
        """The subject of this keyed hash."""
        return Subject(app, subject_hash, self._ids.subject(app, subject_hash))

    def of_factor(self, app: str, factor_id: str) -> tuple[Subject, Reference] | None:
        """Whom a factor's id belongs to, if it does to this app; None if it cannot be one of ours."""
        ref = read_factor_id(factor_id, self._ids.read_token)
        return None if ref is None else (self.named(app, ref.number_hash), ref)

    def new_reference(self, subject: Subject, random: bytes) -> Reference:
        """A new factor's reference. `random`: as many bytes as `Ids.new` needs."""
        return self._ids.new(subject.hash, random)


RANDOM_BYTES = NUMBER_HASH_BYTES
