"""The use cases of a login flow, over one store and one keyring."""

from collections.abc import Callable, Sequence

from ...domain.policy import App, Policy
from .. import ports
from ..guard import Guard, GuardedStarts
from ..sender_health import SenderHealth
from ..subjects import Subjects
from .admission import Admission, Part
from .cancel import CancelVerification
from .check import CheckVerification
from .guess_limits import Exceeded, GuessLimits
from .people import People
from .preview import PreviewStart
from .redeem import RedeemReceipt
from .redeem_factor import RedeemFactorReceipt
from .risk import AskRisk
from .start import StartVerification
from .start_subjects import StartSubjects
from .subjects import SubjectTries
from .tell_numbers import TellNumbers


class Verify:
    """`start`, `preview`, `check`, `cancel` and `redeem`. Safe for many threads; holds no state of its own."""

    def __init__(
        self,
        *,
        store: ports.VerificationStore,
        outer: ports.OuterStore,
        parts: Sequence[Part],
        exceeded: Exceeded,
        sender_health: SenderHealth,
        vault: ports.Vault,
        key_ids: ports.KeyIds,
        policy: Policy,
        issuer: str,
        queue_max: int,
        token_bytes: Callable[[int], bytes],
        randbelow: Callable[[int], int],
        factor_store: ports.FactorStore,
        ask_risk: AskRisk,
        harden: Callable[[App], App] = lambda app: app,
        fictitious: bool = False,
        guard: Guard | None = None,
        audit_is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        """`parts`: what a start takes apart from its number. `exceeded` is told of limits that refuse nothing.

        `ask_risk` asks the app's risk hook, if it has one. `fictitious` allows the numbers 555-0100 to 555-0199, which
        only a sandbox delivers to. `harden` makes codes harder to guess while somebody guesses many. `audit_is_full`:
        whether too many events wait for the ledger. `guard`: the pumping guard; without one no start is judged by its
        budgets.
        """
        people = People(vault, fictitious=fictitious)
        self.tell = TellNumbers(store=factor_store, vault=vault, token_bytes=token_bytes, start=lambda: self.start)
        tries = SubjectTries(factor_store, vault, token_bytes, self.tell)
        spend_factor = RedeemFactorReceipt(store=factor_store, subjects=Subjects(vault))
        self.redeem = RedeemReceipt(
            store=store,
            vault=vault,
            people=people,
            key_ids=key_ids,
            issuer=issuer,
            token_bytes=token_bytes,
            redeem_factor=spend_factor,
            policy=policy,
        )
        admission = Admission(store=GuardedStarts(store, guard), outer=outer, parts=parts)
        self.start = StartVerification(
            admission=admission,
            sender_health=sender_health,
            vault=vault,
            people=people,
            policy=policy,
            queue_max=queue_max,
            audit_is_full=audit_is_full,
            token_bytes=token_bytes,
            randbelow=randbelow,
            subjects=StartSubjects(tries, self.redeem, vault.seal),
            ask_risk=ask_risk,
            harden=harden,
            guard=guard,
        )
        self.preview = PreviewStart(self.start, admission)
        self.check = CheckVerification(
            vault=vault,
            people=people,
            policy=policy,
            issuer=issuer,
            token_bytes=token_bytes,
            tries=tries,
            limits=GuessLimits(store=store, outer=outer, policy=policy, digest=vault.ids.digest, exceeded=exceeded),
            guard=guard,
        )
        self.cancel = CancelVerification(
            store=store, vault=vault, people=people, policy=policy, token_bytes=token_bytes
        )
