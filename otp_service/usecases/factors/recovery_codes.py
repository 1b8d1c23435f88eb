"""Giving a subject ten new recovery codes in place of all it had. They are told once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...domain import recovery
from ...domain.factor_checking import NewCodes
from ...domain.ids import Reference
from .. import ports
from ..subjects import RANDOM_BYTES, Subjects


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """The codes, in groups that people can read aloud."""

    reference: Reference
    codes: tuple[str, ...] = field(repr=False)


class ReplaceCodes:
    """Makes recovery codes. `randbelow` as in `secrets`."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        subjects: Subjects,
        token_bytes: Callable[[int], bytes],
        randbelow: Callable[[int], int],
    ) -> None:
        self._store = store
        self._ids = vault.ids
        self._subjects = subjects
        self._token_bytes = token_bytes
        self._randbelow = randbelow

    def __call__(self, app_name: str, subject_text: str) -> NewRecoveryCodes:
        """New codes; old ones are good no more. Raises InvalidRequest and StoreUnavailable."""
        subject = self._subjects.of(app_name, subject_text)
        ref = self._subjects.new_reference(subject, self._token_bytes(RANDOM_BYTES))
        codes = tuple(recovery.draw(self._randbelow) for _ in range(recovery.COUNT))
        bare = (recovery.typed(code) or "" for code in codes)
        digests = tuple(self._ids.recovery_code(subject.hash, code) for code in bare)
        self._store.replace_codes(NewCodes(self._token_bytes(8).hex(), ref, subject, digests))
        return NewRecoveryCodes(ref, codes)
