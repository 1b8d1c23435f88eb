"""What the carrier reports by webhook: delivery reports, replies, followed links, a spent profile.

The signature was checked before. Only what the signed body says is believed.
"""

from ..domain.policy import Policy
from . import ports
from .apply_reports import ApplyReports
from .receive_reply import ReceiveReply
from .sender_health import SenderHealth
from .settle_costs import Settle, settle_nothing


class Receive:
    """The use cases of incoming events. Safe for many threads. Reports go to `reports`, replies to `replies`."""

    def __init__(
        self,
        *,
        reports: ports.DeliveryReports,
        store: ports.VerificationStore,
        optouts: ports.OptOutRegistry,
        vault: ports.Vault,
        policy: Policy,
        sender_health: SenderHealth,
        settle: Settle = settle_nothing,
    ) -> None:
        self.reports = ApplyReports(reports=reports, ids=vault.ids, sender_health=sender_health, settle=settle)
        self.replies = ReceiveReply(store=store, optouts=optouts, ids=vault.ids, policy=policy)
        self._sender_health = sender_health

    def spend_limit(self, messaging_profile_id: str | None) -> None:
        """A messaging profile has reached its daily limit: leave it alone, and alert the people on call."""
        self._sender_health.record_spend_limit(messaging_profile_id)
