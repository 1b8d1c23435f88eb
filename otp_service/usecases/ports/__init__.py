"""What the use cases need from outside, as Protocols. `storage`, `telnyx`, `receivers` and `keyring` implement them;
bootstrap joins them.

Every method that reaches the store raises `StoreUnavailable` if it does not answer or refuses a write. Times are Unix
milliseconds by the store's clock. `number_hash` is a number's keyed hash (hex, `domain.ids`).
"""

from .admission import LimitRecord, OuterStore
from .audit import AuditConsumer, AuditReader, LedgerReader
from .callbacks import CallbackQueue, Receivers
from .delivery import Carrier, Deliveries, DeliveryReports, DueDeliveries, SenderRate
from .factors import FactorStore
from .guard import EditedSafeList, GuardBudgets, GuardedNumbers, GuardEvents, SafeListTable
from .guesses import Guesses
from .optouts import BlockList, Cursors, OptOutRegistry
from .people import GuardOfNumber, LimitStates, PersonStore, SubjectLocks
from .published_log import PublishedLog
from .risk import RefusedStarts, RiskReceivers
from .secrets import KeyIds, Ring, Vault
from .senders import Alerts, Circuits, HealthReports, Pager, SenderStats
from .spending import SpendTable
from .verification import VerificationStore

__all__ = [
    "Alerts",
    "AuditConsumer",
    "AuditReader",
    "BlockList",
    "CallbackQueue",
    "Carrier",
    "Circuits",
    "Cursors",
    "Deliveries",
    "DeliveryReports",
    "DueDeliveries",
    "EditedSafeList",
    "FactorStore",
    "GuardBudgets",
    "GuardEvents",
    "GuardOfNumber",
    "GuardedNumbers",
    "Guesses",
    "HealthReports",
    "KeyIds",
    "LedgerReader",
    "LimitRecord",
    "LimitStates",
    "OptOutRegistry",
    "OuterStore",
    "Pager",
    "PersonStore",
    "PublishedLog",
    "Receivers",
    "RefusedStarts",
    "Ring",
    "RiskReceivers",
    "SafeListTable",
    "SenderRate",
    "SenderStats",
    "SpendTable",
    "SubjectLocks",
    "Vault",
    "VerificationStore",
]
