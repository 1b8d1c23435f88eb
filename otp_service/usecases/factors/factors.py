"""The use cases of second factors, over one store and one keyring."""

from collections.abc import Callable

from ...domain.policy import Policy
from .. import ports
from ..subjects import Subjects
from ..verify.check import CheckVerification
from ..verify.tell_numbers import TellNumbers
from .change_receipts import ChangeReceipts
from .check import CheckFactors
from .enroll import ConfirmTotp, EnrollTotp
from .manage import ManageFactors
from .recovery_codes import ReplaceCodes


class FactorUseCases:
    """`enroll`, `confirm`, `manage`, `replace_codes`, `check`. Safe for many threads; holds no state."""

    def __init__(
        self,
        *,
        store: ports.FactorStore,
        vault: ports.Vault,
        policy: Policy,
        issuer: str,
        token_bytes: Callable[[int], bytes],
        randbelow: Callable[[int], int],
        sent: CheckVerification,
        tell: TellNumbers,
    ) -> None:
        """`sent` judges codes that were sent, `tell` tells numbers that are removed."""
        subjects, receipts = Subjects(vault), ChangeReceipts(vault, issuer, token_bytes)
        self.enroll = EnrollTotp(store=store, vault=vault, subjects=subjects, policy=policy, token_bytes=token_bytes)
        self.confirm = ConfirmTotp(
            store=store, vault=vault, subjects=subjects, token_bytes=token_bytes, receipts=receipts
        )
        self.manage = ManageFactors(
            store=store, subjects=subjects, policy=policy, token_bytes=token_bytes, tell=tell, receipts=receipts
        )
        self.replace_codes = ReplaceCodes(
            store=store, vault=vault, subjects=subjects, token_bytes=token_bytes, randbelow=randbelow, receipts=receipts
        )
        self.check = CheckFactors(
            store=store,
            vault=vault,
            subjects=subjects,
            policy=policy,
            issuer=issuer,
            token_bytes=token_bytes,
            sent=sent,
            tell=tell,
        )
