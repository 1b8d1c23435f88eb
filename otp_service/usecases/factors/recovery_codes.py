"""Giving a subject ten new recovery codes in place of all it had. They are told once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ...domain import recovery
from ...domain.factor_checking import NewCodes
from ...domain.factors import FactorKind
from ...domain.ids import Reference
from ...domain.receipt import Change
from .. import ports
from ..subjects import RANDOM_BYTES, Subjects
from .change_receipts import ChangeReceipts


@dataclass(frozen=True, slots=True)
class NewRecoveryCodes:
    """The codes, in groups that people can read aloud, and the receipt of the change."""

    reference: Reference
    codes: tuple[str, ...] = field(repr=False)
    receipt: str = field(repr=False)


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
        receipts: ChangeReceipts,
    ) -> None:
        self._store = store
        self._ids = vault.ids
        self._subjects = subjects
        self._token_bytes = token_bytes
        self._randbelow = randbelow
        self._receipts = receipts

    def __call__(self, app_name: str, subject_text: str) -> NewRecoveryCodes:
        """New codes; old ones are good no more. Raises InvalidRequest and StoreUnavailable."""
        subject = self._subjects.of(app_name, subject_text)
        ref = self._subjects.new_reference(subject, self._token_bytes(RANDOM_BYTES))
        codes = tuple(recovery.draw(self._randbelow) for _ in range(recovery.COUNT))
        bare = (recovery.typed(code) or "" for code in codes)
        digests = tuple(self._ids.recovery_code(subject.hash, code) for code in bare)
        at_ms = self._store.replace_codes(NewCodes(self._token_bytes(8).hex(), ref, subject, digests))
        receipt = self._receipts(subject, Change.CODES_REPLACED, ref, FactorKind.RECOVERY_CODE, at_ms)
        return NewRecoveryCodes(ref, codes, receipt)
