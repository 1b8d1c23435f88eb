"""What is packed into one string: the parts in their order and the separator, for Python and for the scripts.

Scripts use `OptoutEntry.PACK` as the format of `string.format` and `OptoutEntry.PARSE` as the pattern of
`string.match`; `OptoutEntry.SEPARATOR` where the parts are joined by hand. `RouteSender.EACH` is the pattern of
`string.gmatch` for a list with commas: it captures a whole entry, then its parts.
"""

from dataclasses import dataclass

UNIT_SEPARATOR = "\x1f"
RECORD_SEPARATOR = "\x1e"
RAW = b"\x00"
"""How a sealed value begins whose bytes follow its key's id and a colon. Any other is stored as the text that it is."""

_IN_LUA = {UNIT_SEPARATOR: "\\31", RECORD_SEPARATOR: "\\30"}


def flag(value: bool) -> str:
    """A truth value as fields and scripts have it."""
    return "1" if value else "0"


@dataclass(frozen=True, slots=True)
class Encoding:
    """Texts in this order with a separator between them; no text but the last contains the separator."""

    separator: str
    parts: tuple[str, ...]

    def pack(self, *values: str | int) -> str:
        """One string of as many values as there are parts. Raises ValueError for another number."""
        if len(values) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts are needed: {', '.join(self.parts)}")
        return self.separator.join(map(str, values))

    def parse(self, text: str) -> list[str]:
        """The parts. Raises ValueError if there are too few."""
        values = text.split(self.separator, len(self.parts) - 1)
        if len(values) != len(self.parts):
            raise ValueError(f"{len(self.parts)} parts are needed: {', '.join(self.parts)}")
        return values

    def named(self, text: str) -> dict[str, str]:
        """The parts by their names. Raises ValueError as `parse`."""
        return dict(zip(self.parts, self.parse(text), strict=True))

    def constants(self) -> dict[str, str]:
        """What the scripts know of it: Lua literals by name."""
        quoted = _IN_LUA.get(self.separator, self.separator)
        one = f"([^{quoted}]*)"
        last = "(.*)"
        return {
            "SEPARATOR": f"'{quoted}'",
            "PACK": "'" + quoted.join(["%s"] * len(self.parts)) + "'",
            "PARSE": "'^" + quoted.join([one] * (len(self.parts) - 1) + [last]) + "$'",
            "EACH": "'(" + quoted.join([f"([^,{quoted}]+)"] * len(self.parts)) + ")'",
        }


PieceName = Encoding(":", ("field", "number"))
"""The name of a field that holds the second, third … piece of another field's value. See `pieces`."""

StoreSetup = Encoding("|", ("shards", "layout"))
"""What a store was set up with. A value without the second part was written by version 0.1.0."""

Beat = Encoding("|", ("count", "at_ms"))
"""The last beat of a process: how many were answered with it, and when that was."""

RunMoment = Encoding("|", ("run", "at_ms"))
"""A run of the store, and when something was first known of it."""

RunVote = Encoding("|", ("run", "vote"))
"""What a process says about a run: `yes` if the store has all that the process knows, `no` if it has not."""

RunChange = Encoding("|", ("at_ms", "kept"))
"""When the store's run changed last, and whether what began before lives on."""

RunReplicas = Encoding("|", ("run", "count"))
"""How many replicas must follow the server in this run before anything is written that must outlive a failover."""

OptoutEntry = Encoding("|", ("state", "at_ms", "keyword", "source"))
"""A number's opt-out of one messaging profile. State: 1 opted out, 0 opted in."""

RecordFacts = Encoding(UNIT_SEPARATOR, ("app", "purpose", "mask", "created_ms", "max_checks", "max_sends", "key_id"))
"""What never changes of a verification. In one field, since names of their own would take more room.

Mask: the number with its middle hidden, as it may be shown. Key id: of the key that made the code's digest. With a name
of an app or a purpose of more than some twenty characters the record takes twice the room.
"""

Sending = Encoding("|", ("sends", "deliveries", "channel", "next_send_ms"))
"""How far the sending of a verification's code is: how many sends count, how many deliveries there are, the channel of
the last send, and when the next one may be."""

DeliveryFacts = Encoding(
    UNIT_SEPARATOR, ("sender", "kind", "send", "channel", "locale", "queued_ms", "sent_within_ms", "next_senders")
)
"""What never changes of a delivery. Send: the ordinal of the send that it belongs to. Queued: empty for the first
delivery, which was queued when the verification was started. Next senders: `NextSender` with commas, for a failover."""

MessageEntry = Encoding("|", ("digest", "token", "ordinal"))
"""Which delivery became a message at the carrier. Digest: the first 16 digits of the SHA-1 of the message's id, which
need not be secret: a report is compared with the whole id before it counts."""

NextSender = Encoding("|", ("name", "kind"))
"""A sender of a route as a record has it. Which messaging profile it belongs to says the configuration alone: a process
that does not know the sender takes it for open, and the one that sends asks again."""

TimelineEntry = Encoding(UNIT_SEPARATOR, ("type", "at_ms", "delivery"))
"""One event of a verification's timeline. Delivery: its ordinal, or empty. The detail stands in a field of its own."""

CheckReply = Encoding(UNIT_SEPARATOR, ("outcome", "value"))
"""What a check that was counted got: `wrong` with the checks left, `ended` with the status, `approved`."""

AuditSubject = Encoding(UNIT_SEPARATOR, ("verification", "app", "mask", "number_hash", "n", "caller"))
"""What the events of one entry of the audit record are about, and who caused them; each part may be empty.

N: which event of its verification the first of them is; the next ones follow.
"""

AuditCaller = Encoding("|", ("policy", "key_id", "request_id", "process", "address"))
"""Who caused an event: the configuration that decided (the first digits of its hash), the API key's id, the request's,
the process that did it, and the address that the request came from; each may be empty. An earlier version named no
process, see `caller_parts`."""


def caller_parts(text: str) -> list[str]:
    """The parts of an `AuditCaller`, also of one without a process. Raises ValueError."""
    if text.count(AuditCaller.separator) == len(AuditCaller.parts) - 2:
        before, _, address = text.rpartition(AuditCaller.separator)
        text = AuditCaller.separator.join((before, "", address))
    return AuditCaller.parse(text)


AuditEvents = Encoding(RECORD_SEPARATOR, ("event", "more"))
"""The events of one entry of the audit record, any number of them one after the other."""

AuditEvent = Encoding(UNIT_SEPARATOR, ("type", "delivery", "detail"))
"""One event of the audit record. Type: its name, or a `ShortType`. Delivery: its ordinal, or empty. Detail: a JSON
object, or empty.

Two events come with every verification. Their usual details are packed as `StartDetail`, `GuardedStartDetail` and
`QueuedDetail`.
"""

StartDetail = Encoding("|", ("purpose", "channel"))
"""The detail of `verification.started` and `verification.resent` that says no more than this."""

GuardedStartDetail = Encoding("|", ("purpose", "channel", "guard"))
"""The same with what the pumping guard judged, as `GuardJudged`, or `-` where it was not to judge."""

QueuedDetail = Encoding("|", ("sender", "kind"))
"""The detail of `delivery.queued`."""

WrongCodes = Encoding("|", ("in_a_row", "last_ms", "times"))
"""A number's wrong codes in an app: how many since its last approval, when the last was, and when they were.

The times are milliseconds, newest first, at most 100, separated by commas. Over all apps there are the times alone.
"""

HashEnd = Encoding("|", ("key_ms", "needed_ms"))
"""When a number's hash ends by itself, and until when it is needed for all but wrong codes in a row.

One time alone is both.
"""

TimerEntry = Encoding(":", ("kind", "subject"))
"""A member of the sorted set of timers. Subject: the token of a verification, or a delivery's id."""

SendList = Encoding(RECORD_SEPARATOR, ("newest", "older"))
"""A number's sends over all apps, newest first: those that a cap may still count, and those of the last hour."""

SendEntry = Encoding(UNIT_SEPARATOR, ("at_ms", "app", "purpose"))
"""One send to a number. Without app and purpose: a send before the last approval, which no ladder counts, and of the
caps the longest window alone. Without a purpose: its code was ended by the store, and the caps alone count it."""

ApiKeyEvent = Encoding(UNIT_SEPARATOR, ("type", "app", "caller", "detail"))
"""One event of an API key that is not in the audit record yet. Caller: as `AuditCaller`. Detail: a JSON object."""

RouteSender = Encoding("|", ("name", "kind", "messaging_profile_id"))
"""One sender of a route. A route is any number of them, separated by commas."""

RefusedNumber = Encoding(":", ("number_hash", "at_ms"))
"""One number that met a refusal. A breaker keeps any number of them, newest first, separated by commas."""

StickySlot = Encoding(":", ("channel", "app"))
"""Where the sender stands that reached a person last: of another app's messages an app must not learn."""

LatestEntry = Encoding("|", ("token", "expires_ms"))
"""A number's latest verification for an app and purpose: the id's token, and when its code ends."""

StartOperation = Encoding("|", ("until_ms", "operation", "outcome", "token"))
"""What an operation that started a verification did, remembered so long: `created` or `resent`, and the id's token.

The token is `=` while that verification is the latest for its app and purpose. One that created the latest is a
`ShortOperation`. A list is separated by commas.
"""

ShortOperation = Encoding("|", ("until_ms", "operation"))
"""The `StartOperation` that created the latest verification."""

SlotGroup = Encoding(":", ("at_ms", "count"))
"""Slots of a limit that were taken together, and when the last of them was.

A list is separated by commas, newest first.
"""

SendSlot = Encoding("|", ("limit", "events", "window_ms", "subject", "at_ms"))
"""A slot of a limit that a send has taken, to be given back if it is never accepted. A list is separated by commas."""

SenderPace = Encoding("|", ("reserved_us", "next_send_us", "late_us", "written_us"))
"""A sender's rate, in microseconds: up to when slots are reserved, when the next message may go, up to when those that
came back too late have been given new slots, and when that was written."""

LimitRule = Encoding(":", ("limit", "per_ms"))
"""A limit as scripts get it: so many in any window of so many milliseconds. A list is separated by commas."""

AlertEntry = Encoding(UNIT_SEPARATOR, ("id", "text"))
"""One alert that waits. Its id begins with the milliseconds at which it was raised and a dash."""

ProcessEntry = Encoding("|", ("at_ms", "record"))
"""What a running process said of itself, and when by the store's clock. Record: JSON of `ProcessRecord`."""

SenderRatios = Encoding("|", ("success", "spam"))
"""What the carrier reports of a sender: two ratios of 0 to 1, each empty where the carrier reports none."""

TriesInARow = Encoding("|", ("in_a_row", "last_ms", "generation"))
"""Wrong codes of a subject: how many in a row, when the last try was taken, and how often a row has ended.

A try that is given back counts only in the row that it was taken in.
"""

FactorFacts = Encoding(UNIT_SEPARATOR, ("kind", "created_ms", "algorithm", "digits", "period_s"))
"""What never changes of a factor. The last three are those of an authenticator app, else empty."""

FactorReceipt = Encoding("|", ("run", "operation", "at_ms"))
"""The receipt of an approval by a factor: the run of the store, and what spent it and when; empty before that."""

SentCode = Encoding("|", ("verification", "number_hash", "binds", "at_ms"))
"""The code that was sent to a subject last for a purpose: the token of the verification, the number, whether its
approval may bind that number (1), and when it was sent."""

GuardTimes = Encoding(":", ("known_ms", "counted_ms", "sends"))
"""How long a number is known after an approval, how long a count covers its sends, and how many sends."""

GuardPlace = Encoding("|", ("region", "block_10k", "block_1k"))
"""Where a number is: its country (ISO 3166, `ZZ` for none), and the keyed hashes of its blocks."""

GuardStart = Encoding("|", ("mode", "address", "cost", "on_record"))
"""What the budgets look at of a start, beside its place. Address: keyed hash, empty for none. On record 1: events may
hold it."""

GuardJudged = Encoding("|", ("place", "taken", "turn"))
"""What is on record of a start that the guard judged: `GuardPlace`, `GuardTaken` and `GuardTurn`, see
`domain.guard.record`."""

GuardTurn = Encoding("-", ("at_ms", "counts"))
"""When the budgets judged a start, and what they had counted by then: `GuardTurns`."""

GuardTurns = Encoding("-", ("starts", "approved", "known_approved", "known_starts", "unsent"))
"""How many changes the budgets of an app have seen: starts that were judged; approvals of others than known numbers,
and of known ones; starts of known numbers; what was given back because nothing was sent."""

GuardedNumber = Encoding("|", ("approved_ms", "counted_ms", "sends", "started_ms", "region", "block_10k"))
"""What the guard knows of a number in an app; 0 is never. Counted: when its count began, and how many sends it covers
yet. Started: the last start of a known number."""

GuardTakes = Encoding("|", ("block_1k", "taken"))
"""What a number's sends took: the keyed hash of its block of 1,000, and `GuardTaken` with commas."""

GuardTaken = Encoding(":", ("address", "cost", "flags"))
"""What one send took. Address: keyed hash, `-` for none. Flags: `n`, then `w` for a warm block, `o` in an outage, `a`
if it took from the total, `c` and `t` for a probe of the country and of the total."""

GuardedApproval = Encoding("|", ("region", "block_10k", "block_1k", "known", "taken"))
"""What an approval gives back. Known 1: the number was known before."""

GuardBucket = Encoding("|", ("level", "at_ms", "refused_ms"))
"""A leaky bucket of unapproved sends: its level at a time, and its last refusal. 17 digits: the same double again."""

GuardProbes = Encoding("|", ("next_ms", "gap_ms", "refused_ms"))
"""When the next probe may pass, the gap between probes, and when there was no room last."""

GuardDay = Encoding(":", ("day", "count"))
"""A count of one UTC day (days since 1970). A list is separated by commas."""

GuardWarmBlock = Encoding("|", ("first_ms", "last_ms"))
"""The first and the last approval in a block of 10,000 numbers."""

GuardAddress = Encoding("|", ("level", "at_ms", "refused_ms", "countries"))
"""An end user's address: its bucket, and `GuardVisit` with commas."""

GuardVisit = Encoding(":", ("region", "at_ms"))
"""The last send of an address to a country."""

SafeEntry = Encoding("|", ("at_ms", "reason"))
"""An entry of the guard's safe list: when it was made, and why."""

GuardPass = Encoding(":", ("app", "counted_ms"))
"""An app whose guard lets the next sends to a number pass, and for how long."""

GuardReport = Encoding(":", ("what", "budget", "region"))
"""What happened to a budget. Region: empty for the total over all countries."""

SpendTaken = Encoding("|", ("day", "micros", "region"))
"""The expected price of a delivery's message: millionths of the currency, and the UTC day (days since 1970) of which
they were taken; empty as long as they were not."""

SpendPlace = Encoding(":", ("day", "region"))
"""A UTC day (days since 1970) and a country, `ZZ` for none."""

SettledPlace = Encoding(":", ("day", "region", "currency"))
"""The same, and the currency of a cost."""

DeliveryCost = Encoding("|", ("micros", "currency"))
"""What the carrier says that a delivery's message cost, in millionths."""

SettledCost = Encoding("|", ("app", "day", "expected", "before"))
"""What a report's cost corrects: `domain.prices.Settlement`. Each part but the first may be empty."""
