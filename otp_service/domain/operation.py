"""The old address of what now stands in a module for each subject; it goes when nobody imports it any more."""

from .alarm import Alarm
from .checking import Approved, CheckAnswer, CheckCommand, Limited, Superseded, Wrong
from .denial import Denial
from .ending import Canceled, Ended, NotFound, Redeemed
from .optout_list import Block, BlockPage, Cursor, OptOut, Standing
from .outbox import Job, PendingDelivery, ReportOutcome, SendPermit, Timer
from .starting import OPERATION_TTL_MS, StartCommand, Started, StartRefused
from .view import DeliveryView, TimelineEntry, VerificationView

__all__ = [
    "OPERATION_TTL_MS",
    "Alarm",
    "Approved",
    "Block",
    "BlockPage",
    "Canceled",
    "CheckAnswer",
    "CheckCommand",
    "Cursor",
    "DeliveryView",
    "Denial",
    "Ended",
    "Job",
    "Limited",
    "NotFound",
    "OptOut",
    "PendingDelivery",
    "Redeemed",
    "ReportOutcome",
    "SendPermit",
    "Standing",
    "StartCommand",
    "StartRefused",
    "Started",
    "Superseded",
    "TimelineEntry",
    "Timer",
    "VerificationView",
    "Wrong",
]
