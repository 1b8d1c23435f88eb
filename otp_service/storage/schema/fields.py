"""Names of fields in hashes and streams, and the kinds of timers. Scripts use them under the same names.

In a script `Record.STATUS` is replaced by the quoted name when the script is loaded; an unknown one fails to load. A
field of a delivery is written after the delivery's ordinal: `n .. Delivery.STATUS` is `3:status`.
"""

from typing import Final

from ...domain import factors, ids, outbox
from .encodings import TimerEntry


class Record:
    """Hash: a verification."""

    FACTS: Final = "facts"
    """What never changes, as `RecordFacts`."""
    RUN: Final = "run"
    """The run of the store in which it began: see `StoreRun`."""
    CONTEXT_HASH: Final = "context_hash"
    """Hash of what the code is bound to (amount, payee, session); not there if it is bound to nothing."""
    STATUS: Final = "status"
    EXPIRES: Final = "expires_ms"
    ENDED: Final = "ended_ms"
    ATTEMPTS: Final = "attempts"
    CHALLENGES: Final = "challenges"
    """Challenges of its starts, separated by commas: a check needs the verifier of one; not there if none had one."""
    UNBOUND: Final = "unbound"
    """Checks without such a verifier, where one is needed. They are no attempts."""
    SENDING: Final = "sending"
    """How far the sending is, as `Sending`."""
    SENT_AT: Final = "sent_at_ms:"
    """Followed by the ordinal of a send: when it was counted. The first was when the verification began."""
    SLOTS: Final = "slots:"
    """Followed by the ordinal of a send: the slots that it took in limits, as `SendSlot`."""
    RETURNED: Final = "returned_slots:"
    """Followed by a delivery's ordinal: those that are to be given back, because its send was never accepted."""
    GUARDED: Final = "guarded:"
    """Followed by the ordinal of a send that the pumping guard counts: the `GuardTimes` by which it does."""
    GUARD_RETURNED: Final = "returned_guard:"
    """Followed by a delivery's ordinal: what the guard is to give back of its send, as `GuardedApproval`."""
    SPEND_RETURNED: Final = "returned_spend:"
    """Followed by a delivery's ordinal: the price that is to be given back, as `SpendTaken`: nothing was sent."""
    ACCEPTED: Final = "accepted:"
    """Followed by the ordinal of a send: the carrier accepted a message of it."""
    METADATA: Final = "metadata"
    """The caller's JSON; not there if it was an empty object from the first start."""
    VERSION: Final = "version"
    """Grows with each change that a caller can see."""
    OPERATION: Final = "operation:"
    """Followed by the id of a check that was counted: the reply that it got, for a caller that lost it."""
    TIMELINE: Final = "timeline:"
    """Followed by the version that an event made: the event without its detail.

    The first two events of each verification are not there: the facts say all of them.
    """
    DETAIL: Final = "detail:"
    """Followed by the version that an event made: the event's detail, a JSON object, where the facts do not say it."""
    RECEIPT: Final = "receipt_id"
    REQUEST: Final = "request_key"
    """The Idempotency-Key of the check that was approved."""
    SUBJECT: Final = "subject"
    """The keyed hash of the subject that the start named; not there if it named none."""
    TEST: Final = "test"
    """A mark: it is of a test number, and nothing is sent. Not there for any other."""
    NOTICE: Final = "notice"
    """A mark: it is a notice and no code approves it. Not there for any other."""
    COMPLETED: Final = "completed_ms"
    """When the caller said that the login ended well by another way; not there if it did not."""
    REDEEMED: Final = "redeemed_ms"
    REDEEM_OPERATION: Final = "redeem_operation"
    CANCEL_OPERATION: Final = "cancel_operation"


class StoreRun:
    """Hash: which run of the store a shard has seen last. Each restart and each failover begins another run."""

    RUN: Final = "run"
    AFTER_RESTART: Final = "after_restart"
    """What becomes of codes when another run begins: `end_codes` or `keep_codes`."""
    KEPT: Final = "kept"
    """Runs before this one of which nothing was lost, separated by commas: what began in them lives on."""
    SINCE: Final = "since_ms"
    """When this run was noted."""
    NAME: Final = "name"
    """A random name, which the shard has until it is emptied."""
    NEED: Final = "replicas"
    """How many replicas must follow the server, as `RunReplicas`."""
    MARK: Final = "mark"
    """Written behind a script, so that waiting for replicas waits for all that was written before it."""


class LiveProcesses:
    """Hash: the processes that live, and what they know of the store's run. `KEPT` and `MARK` are as in `StoreRun`."""

    RUN: Final = "run"
    KEPT: Final = "kept"
    NAME: Final = "name"
    """A random name, which the store has until it is emptied."""
    CHANGED: Final = "changed"
    """When the run changed last, as `RunChange`."""
    FIRST_SEEN: Final = "first_seen"
    """When a run was first seen about which nothing is decided yet, as `RunMoment`."""
    UNDECIDED: Final = "undecided"
    """Runs before that one which ended before anything was decided about them, separated by commas."""
    BEAT: Final = "beat:"
    """Followed by the id of a process: its last beat, as `Beat`."""
    MARK: Final = "mark"
    VOTE: Final = "vote:"
    """Followed by the id of a process: its vote, as `RunVote`."""


class Delivery:
    """Fields of a verification's deliveries, each after the delivery's ordinal."""

    STATUS: Final = ":status"
    FACTS: Final = ":facts"
    """What never changes, as `DeliveryFacts`."""
    AUTOFILL: Final = ":autofill"
    """What the message is to hold for autofill, JSON; not there where nothing was asked for."""
    UPDATED: Final = ":updated_ms"
    """When it last changed; not there before it has."""
    TRIES: Final = ":tries"
    """Requests to the carrier that were begun."""
    UNSENT_TRIES: Final = ":unsent_tries"
    """Tries of which it is known that the carrier never got the request."""
    FIRST_TRY: Final = ":first_try_ms"
    CALL: Final = ":call"
    """Token of the call that began the last try: a repeated call is one try."""
    FAILED_OVER: Final = ":failed_over"
    MESSAGE_ID: Final = ":message_id"
    CARRIER_STATUS: Final = ":carrier_status"
    CARRIER_RANK: Final = ":carrier_rank"
    ERROR_CODE: Final = ":error_code"
    ERROR_TITLE: Final = ":error_title"
    WAIT_REASON: Final = ":wait_reason"
    """Why it has not been sent yet."""
    RATE_LIMITED: Final = ":rate_limited"
    """It waits for a slot in the sender's rate."""
    HANDED_BACK: Final = ":handed_back"
    """A worker could not send it, because of itself and not of the sender."""
    POLLS: Final = ":polls"
    """Polls of the carrier because no report came."""
    SPEND: Final = ":spend"
    """The expected price of its message, as `SpendTaken`; not there where its app may spend any amount."""
    COST: Final = ":cost"
    """What the carrier's reports say that it cost, as `DeliveryCost`."""
    FAILOVER_POLLS: Final = ":failover_polls"
    """Polls of the carrier to judge whether a failover is due."""


class Secrets:
    """Hash: what must stay secret while a code can be used. It ends with the code, or before."""

    DIGEST: Final = "digest"
    """The code's digests under the key that the record names, 16 bytes each: by id, and by number and purpose."""
    BOX: Final = "box"
    """The number and the code, sealed."""
    BODY: Final = "body:"
    """Followed by a delivery's ordinal: the sealed body of its request to the carrier, until that has the message."""


class Number:
    """Hash: what belongs to a number, whatever verification it is about. Every number has one: names are short."""

    LATEST: Final = "latest:"
    """Followed by an app and a purpose: the number's latest verification, and when its code ends."""
    OPERATIONS: Final = "done:"
    """Followed by an app and a purpose: what the operations did that started a verification lately, newest first."""
    SENDS: Final = "sends"
    """The number's sends over all apps, for the caps and the ladders."""
    STARTS: Final = "starts:"
    """Followed by an app: the times of the number's sends in it."""
    WRONG: Final = "wrong"
    """The times of its wrong codes over all apps. With `:` and an app's name behind it: those in the app."""
    MESSAGES: Final = "messages"
    """How many messages of the number the carrier has accepted."""
    MESSAGE: Final = "message:"
    """Followed by a digit: the delivery that became one of its last messages at the carrier."""
    GUARDED: Final = "met:"
    """Followed by an app: what the pumping guard knows of the number there, as `GuardedNumber`."""
    GUARD_TAKEN: Final = "taken:"
    """Followed by an app: what its sends took of the guard's budgets, as `GuardTakes`; empty after an approval."""
    ENDS: Final = "ends"
    """When the hash ends by itself, and when it may end if no wrong codes in a row are to be remembered."""


class Subject:
    """Hash: a subject of an app. The fields of its factors stand in it, too: see `Factor`."""

    APP: Final = "app"
    ACTIVE: Final = "active"
    """How many active factors there are."""
    WRONG: Final = "wrong_in_a_row"
    """The wrong codes in a row over all factors, as `TriesInARow`."""
    SENT: Final = "sent:"
    """Followed by a purpose: the code that was sent last, as `SentCode`."""
    REMOVED: Final = "removed_by"
    """The operation that removed a factor last."""
    UNTOLD: Final = "untold"
    """The token of the verification that bound a number last, until the other numbers were told of it."""
    MAY_BIND: Final = "may_bind_ms"
    """Until when an operator lets the subject bind another number without proof."""


class Factor:
    """Fields of a subject's factors, each after the token of the factor's id."""

    FACTS: Final = ":factor"
    """What never changes, as `FactorFacts`."""
    LABEL: Final = ":label"
    PENDING: Final = ":confirm_by_ms"
    """Until when it can be confirmed; not there once it is active."""
    CONFIRM_TRIES: Final = ":confirm_tries"
    SEALED: Final = ":sealed"
    """The sealed secret of an active authenticator app, or the number of an `sms` factor, in pieces."""
    STEP: Final = ":step"
    """The last time step that was accepted."""
    DRIFT: Final = ":drift"
    """By how many steps that one was off."""
    USED: Final = ":used_ms"
    RUN: Final = ":run"
    """The run of the store in which that step was accepted."""
    APPROVED_BY: Final = ":approved_by"
    """The operation that was approved last, for a caller that lost its reply."""
    CODE: Final = ":code:"
    """Followed by the keyed hash of a recovery code: a `CodeState`."""
    LEFT: Final = ":left"
    """How many recovery codes are left."""
    NUMBER: Final = ":number"
    """The keyed hash of the number that is bound to the subject."""
    MASK: Final = ":mask"
    BOUND_BY: Final = ":bound_by"
    """The token of the verification that bound the number."""
    REPLAYED: Final = ":replayed_step"
    """The last time step whose second use is on record."""


class PendingSecret:
    """Hash: the secret of an authenticator app that is to be confirmed, or the number that a code was sent to."""

    SEALED: Final = "sealed_secret"


class CodeState:
    """Values of a recovery code's field."""

    UNUSED: Final = "unused"
    USED: Final = "used"
    REPLAYED: Final = "replayed"
    """Used, and another use of it is on record."""


class AuditEntry:
    """Stream entry: events of the audit record that happened in one step, and what they are about."""

    ABOUT: Final = "about"
    EVENTS: Final = "events"
    """The events, one after the other."""
    WEBHOOK: Final = "webhook"
    """The commitment to the webhook of the carrier that caused the first of them; not there if none did."""


class ShortType:
    """The types of the two events that come with every verification, as entries of the audit record have them."""

    STARTED: Final = "s"
    QUEUED: Final = "q"


class Outbox:
    """Stream entry: one delivery to make, and its sender where it was not put back after a wait."""

    DELIVERY: Final = "delivery"
    SENDER: Final = "sender"


class ConsumerGroup:
    """Groups in which processes read a stream together."""

    WORKERS: Final = "workers"
    """Of the outboxes."""
    CALLBACKS: Final = "callbacks"
    """Of the audit record."""


class DeadLetter:
    """Stream entry: an outbox entry or a timer that nobody can read, with the fields that stood in the entry."""

    ENTRY: Final = "entry"
    """The id of the outbox entry."""
    PACKED: Final = "packed"
    """The entry's fields in MessagePack, where there are too many for a script to write one by one."""
    TIMER: Final = "timer"
    """The timer as it stood in the sorted set."""
    DUE: Final = "due_ms"


class SenderResult:
    """Fields of a sender's results, each followed by the number of a period."""

    DELIVERED: Final = "delivered:"
    FAILED: Final = "failed:"


class Breaker:
    """Hash: the circuit breaker of a sender, a messaging profile or the account."""

    UNTIL: Final = "open_until_ms"
    NEXT_PROBE: Final = "next_probe_ms"
    PROBE_INTERVAL: Final = "probe_interval_ms"
    OPENS: Final = "opened"
    """How often in a row it was opened by faults."""
    CODE: Final = "code"
    TITLE: Final = "title"
    IS_HOLD: Final = "is_hold"
    """1: the carrier asked for it, 0: it is a pause after faults."""
    FAULTS: Final = "faults"
    FIRST_FAULT: Final = "first_fault_ms"
    NUMBERS: Final = "numbers"
    """The keyed hashes of the numbers that met the faults, each followed by a comma."""


class QueuedCallback:
    """Fields of an app's callbacks, each after the callback's id."""

    BODY: Final = ":body"
    TYPE: Final = ":type"
    VERIFICATION: Final = ":verification"
    QUEUED: Final = ":queued_ms"
    ATTEMPTS: Final = ":attempts"
    REASON: Final = ":reason"


class TimerKind:
    """First part of a member of the sorted set of timers, before the token of a verification or a delivery's id."""

    EXPIRY: Final = TimerEntry.pack(outbox.TimerKind.EXPIRY, "")
    RETRY: Final = TimerEntry.pack(outbox.TimerKind.RETRY, "")
    POLL: Final = TimerEntry.pack(outbox.TimerKind.POLL, "")
    FAILOVER: Final = TimerEntry.pack(outbox.TimerKind.FAILOVER, "")
    CLOSING: Final = TimerEntry.pack(outbox.TimerKind.CLOSING, "")
    RETURN: Final = TimerEntry.pack(outbox.TimerKind.RETURN, "")


class Refused:
    """Hash: refusals of starts of one number. A field is a refusal's code, or the code with this suffix."""

    SKIPPED: Final = ":skipped"  # refusals that were not recorded since the last that was
    LAST: Final = ":last"  # when the pumping guard refused last (ms), on record or not
    BY_SLOTS: Final = "by_slots"
    """The limits that refused the number together with what a caller says, as a list of `SendSlot`, newest first."""


class ApiKey:
    """Hash: an API key."""

    DIGEST: Final = "digest"
    APP: Final = "app"
    SCOPES: Final = "scopes"
    CREATED: Final = "created_ms"
    EXPIRES: Final = "expires_ms"
    ENDS: Final = "ends_ms"
    """When it was revoked, or when it ends because another key replaces it."""
    REVOKED: Final = "revoked"
    """A mark: it is over, whatever the clock says."""


class KeyEvent:
    """Fields of the events of API keys, each after the key's id."""

    CREATED: Final = ":created"
    REPLACED: Final = ":replaced:"
    """Followed by the id of the new key."""
    REVOKED: Final = ":revoked"


class PublicId:
    """Parts of a delivery's id (the prefix, the token of the verification, the hyphen, the ordinal) and a factor's."""

    DELIVERY: Final = ids.DELIVERY_PREFIX
    FACTOR: Final = factors.FACTOR_PREFIX
    ORDINAL: Final = "-"


class IdempotencyKey:
    """Hash: a request that runs, or has run, under an Idempotency-Key."""

    FINGERPRINT: Final = "fingerprint"
    OWNER: Final = "owner"
    STATUS: Final = "status"
    BODY: Final = "body"


class SyncCursor:
    """Hash: how far a messaging profile's list of opt-outs has been read."""

    DONE: Final = "done_ms"
    EDGE: Final = "edge_ms"
    PAGE: Final = "page"
