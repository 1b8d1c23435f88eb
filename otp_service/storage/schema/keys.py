"""The schema of the store: one function per key, and the only place where key strings are built.

Every key of a telephone number carries the hash tag of the number's shard (`{s0a}`), so one script, which touches one
number, stays in one hash slot and is atomic on a single server, under Sentinel and in a Cluster alike. Numbers stand in
keys as keyed hashes. What has no number carries a tag of its own.
"""

import re

from ...domain.ids import Reference, shard_of

PREFIX = "otp"

_OF_NUMBERS = re.compile(r"otp:\{s[0-9a-f]+\}:(verification|number|optouts|opted_out|sticky|subject)(:|$)", re.ASCII)


def of_numbers(key: str) -> bool:
    """Whether it is a key of what is remembered of telephone numbers: an opt-out, a budget, a verification."""
    return _OF_NUMBERS.match(key) is not None


_WORD = re.compile(r"otp:(?:\{s[0-9a-f]+\}:)?([a-z_]+)(?::|$)", re.ASCII)


def word_of(key: str) -> str:
    """The word that says what a key of a shard, or of one hashed subject, is for: `secrets`; empty for others."""
    match = _WORD.match(key)
    return match[1] if match else ""


class Keys:
    """Builds keys for an installation with this many shards."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self._tags = [f"{PREFIX}:{{s{shard:02x}}}" for shard in range(shards)]
        self._last = ("", 0, "")
        self.budgets: dict[tuple[str, str], dict[str, str]] = {}
        """For `guard_arguments.budget_keys`: by app and country."""

    def shard(self, number_hash: str) -> int:
        """The shard of a number's keyed hash. A request asks for several keys of one number after another."""
        last, shard, _ = self._last
        return shard if last == number_hash else self._look_up(number_hash)[1]

    def _look_up(self, number_hash: str) -> tuple[str, int, str]:
        shard = shard_of(number_hash, self.shards)
        self._last = found = number_hash, shard, self._tags[shard]
        return found

    def _of(self, number_hash: str) -> str:
        last, _, tag = self._last
        return tag if last == number_hash else self._look_up(number_hash)[2]

    # ---- one verification ------------------------------------------------------------------------------------------

    def record(self, ref: Reference) -> str:
        """Hash: the verification, its deliveries (`3:status` is the third's status) and its events.

        TTL: `retention.verifications` past the code's end, 24 h by default.
        """
        return f"{self._of(ref.number_hash)}:verification:{ref.token}"

    def secrets(self, ref: Reference) -> str:
        """Hash: the code's digest, sealed number and code, sealed request bodies. TTL: to expiry; gone at the end."""
        return f"{self._of(ref.number_hash)}:secrets:{ref.token}"

    # ---- one number ------------------------------------------------------------------------------------------------

    def number(self, number_hash: str) -> str:
        """Hash: the number's latest verifications, what started them, its sends and its wrong codes.

        TTL: as long as anything in it counts (24 h at least, 30 days while wrong codes in a row are remembered, 90 days
        after an approval), and an hour more.
        """
        return f"{self._of(number_hash)}:number:{number_hash}"

    def sticky(self, number_hash: str) -> str:
        """Hash: `channel:app` -> the sender whose message of the app reached this person last.

        TTL: `retention.last_senders`, 30 days by default.
        """
        return f"{self._of(number_hash)}:sticky:{number_hash}"

    def start_refusals(self, number_hash: str, app: str) -> str:
        """Hash: when a start was last refused on record, by code, and how many times since. TTL: 1 h."""
        return f"{self._of(number_hash)}:start_refusals:{number_hash}:{app}"

    def optouts(self, number_hash: str) -> str:
        """Hash: messaging profile -> `state|ms|keyword|source`, state 1 for opted out. No TTL."""
        return f"{self._of(number_hash)}:optouts:{number_hash}"

    def unclear(self, number_hash: str) -> str:
        """String: mark that an unclear reply of the number was recorded lately. TTL: a minute."""
        return f"{self._of(number_hash)}:unclear:{number_hash}"

    def event(self, number_hash: str, event_id: str) -> str:
        """String: mark of a webhook event already applied. TTL: 24 h."""
        return f"{self._of(number_hash)}:event:{event_id}"

    def first_received(self, number_hash: str, event_id: str) -> str:
        """String: when a webhook event was first received (ms). TTL: 24 h."""
        return f"{self._of(number_hash)}:first_received:{event_id}"

    # ---- one subject -----------------------------------------------------------------------------------------------

    def subject(self, subject_hash: str) -> str:
        """Hash: a person by the app's own id: the factors, and the wrong codes in a row over all of them.

        No TTL while there is an active factor, or while only an operator can end the row of wrong codes. Else 30 days.
        """
        return f"{self._of(subject_hash)}:subject:{subject_hash}"

    def enrollment(self, ref: Reference) -> str:
        """Hash: the sealed secret of an authenticator app that is to be confirmed, or the sealed number that a code was
        sent to which may bind it (by the token of the verification). TTL: 15 minutes."""
        return f"{self._of(ref.number_hash)}:enrollment:{ref.token}"

    def factor_receipt(self, subject_hash: str, receipt_id: str) -> str:
        """String: the receipt of an approval by a factor, `run|operation that spent it|ms`.

        TTL: 3 minutes.
        """
        return f"{self._of(subject_hash)}:factor_receipt:{receipt_id}"

    # ---- one shard -------------------------------------------------------------------------------------------------

    def outbox(self, shard: int) -> str:
        """Stream: deliveries to make, fields `delivery` and `sender`. No TTL: entries go when settled."""
        return f"{self._tags[shard]}:outbox"

    def dead(self, shard: int) -> str:
        """Stream: outbox entries (`entry`) and timers (`timer`, `due_ms`) that nobody can read.

        For a person to look at. No TTL: the last 10 000 or a few more.
        """
        return f"{self._tags[shard]}:dead"

    def timers(self, shard: int) -> str:
        """Sorted set: what is due when (ms): `expiry:` of a verification; of a delivery `retry:`, `poll:`,
        `failover:` in time, `closing:`.

        A verification has one, for its code's end, whatever became of it; what is open then gets its `closing:`.
        No TTL: members go when they have come.
        """
        return f"{self._tags[shard]}:timers"

    def clock_step(self, shard: int) -> str:
        """String: the store's time after its clock was set back (ms), once the timers follow it. TTL: 10 s."""
        return f"{self._tags[shard]}:clock_step"

    def audit(self, shard: int) -> str:
        """Stream: the audit events of the shard's numbers, appended by every script.

        No TTL: trimmed by the worker, up to what is in the ledger.
        """
        return f"{self._tags[shard]}:audit"

    def webhooks(self, shard: int) -> str:
        """Hash: id of an entry of the audit stream -> the webhook of the carrier that caused it, sealed.

        No TTL: fields go when they are in the ledger, and no more wait than a few thousand.
        """
        return f"{self._tags[shard]}:webhooks"

    def guesses(self, shard: int, app: str) -> str:
        """Hash: an app's wrong codes and approvals by five minutes, and how hard its codes are made to guess.

        TTL: two hours after the last guess.
        """
        return f"{self._tags[shard]}:guesses:{app}"

    def opted_out(self, shard: int) -> str:
        """Hash: number hash -> mask of each number of the shard that is opted out of some profile. No TTL."""
        return f"{self._tags[shard]}:opted_out"

    def throttle(self, shard: int, kind: str) -> str:
        """String: mark that an event of this kind was recorded lately, or that this one event of an API key was.

        Of a refusal by a risk hook: with app and number hash. Of reading the record: with the names of the filters.
        TTL: a second; a minute; a day.
        """
        return f"{self._tags[shard]}:throttle:{kind}"

    # ---- reading the carrier's list of opt-outs --------------------------------------------------------------------

    def sync_lease(self) -> str:
        """String: the process that reads the list now. TTL: 60 s, renewed with every page."""
        return f"{PREFIX}:{{sync}}:lease"

    def sync_pause(self) -> str:
        """String: mark that the list was read lately. TTL: the interval of the timer."""
        return f"{PREFIX}:{{sync}}:pause"

    def sync_cursor(self, profile: str) -> str:
        """Hash: how far a messaging profile's list has been read (`done_ms`, `edge_ms`, `page`). No TTL."""
        return f"{PREFIX}:{{sync}}:cursor:{profile}"

    # ---- senders and the people on call ------------------------------------------------------------------------------

    def circuit(self, scope: str) -> str:
        """Hash: the breaker of a sender, a profile or the account (`open_until_ms`, `next_probe_ms`, `code` …).

        TTL: an hour past it. Before it opens: how many numbers met faults in a row (`faults`, `first_fault_ms`,
        `numbers`: their keyed hashes); TTL then: 30 s.
        """
        return f"{PREFIX}:circuit:{{{scope}}}"

    def carrier_refusals(self, scope: str, source: str) -> str:
        """Hash: carrier's code -> numbers that met it in a row, newest first, `keyed hash:ms,…`. TTL: an hour.

        `source` is `answer` or `report`.
        """
        return f"{PREFIX}:carrier_refusals:{{{scope}}}:{source}"

    def sender_stats(self, sender: str) -> str:
        """Hash: deliveries of a sender that ended well (`delivered:period`) and badly (`failed:`).

        TTL: the window of an hour.
        """
        return f"{PREFIX}:sender_stats:{{{sender}}}"

    def sender_health(self) -> str:
        """Hash: sender -> `success ratio|spam ratio` as the carrier reports them. TTL: an hour."""
        return f"{PREFIX}:{{senders}}:health"

    def health_pause(self) -> str:
        """String: mark that the carrier was polled for our numbers' ratios lately. TTL: ten minutes."""
        return f"{PREFIX}:{{senders}}:pause"

    def alerts(self) -> str:
        """Sorted set: alerts to send to the people on call, `id US text`, by when they are sent next (ms). No TTL."""
        return f"{PREFIX}:{{alerts}}:due"

    def alert_quiet(self, digest: str) -> str:
        """String: mark that an alert about this trouble was queued lately. TTL: an hour."""
        return f"{PREFIX}:{{alerts}}:quiet:{digest}"

    # ---- callbacks to the apps -------------------------------------------------------------------------------------

    def _callback(self, app: str, name: str) -> str:
        return f"{PREFIX}:{{callbacks:{app}}}:{name}"

    def callbacks(self, app: str) -> str:
        """Hash: the app's callbacks, waiting and dead (`ID:body`, `:type`, `:verification` …).

        TTL: a day more than dead letters, after the last change.
        """
        return self._callback(app, "all")

    def callbacks_due(self, app: str) -> str:
        """Sorted set: ids of the callbacks that wait, by when they are sent next (ms). TTL: as the callbacks."""
        return self._callback(app, "due")

    def callbacks_dead(self, app: str) -> str:
        """Sorted set: ids of the dead letters, by when they died (ms).

        TTL: as the callbacks; a letter's: `retention.dead_letters`, 7 days by default.
        """
        return self._callback(app, "dead")

    def callbacks_in_flight(self, app: str) -> str:
        """Sorted set: ids of the callbacks that are being sent, by the end of the lease (ms). TTL: the lease."""
        return self._callback(app, "in_flight")

    def callbacks_pause(self, app: str) -> str:
        """String: mark that nothing is sent to the app's receiver for now. TTL: what the receiver asked for."""
        return self._callback(app, "pause")

    def callback_apps(self) -> str:
        """Sorted set: the apps that running processes send callbacks to, by when one said so last (ms). TTL: 10 min."""
        return f"{PREFIX}:{{callbacks}}:apps"

    def callback_event(self, app: str, callback_id: str) -> str:
        """String: mark that an event was queued as a callback. TTL: an hour."""
        return self._callback(app, f"event:{callback_id}")

    # ---- what has no number ----------------------------------------------------------------------------------------

    def shard_count(self) -> str:
        """String: the number of shards and the layout of the data, `shards|layout`, fixed at first start. No TTL."""
        return f"{PREFIX}:{{meta}}:shards"

    def index_keys(self) -> str:
        """String: keyed fingerprints of the live index keys, separated by blanks, fixed at first start. No TTL."""
        return f"{PREFIX}:{{meta}}:index_keys"

    def key_ids(self) -> str:
        """Set: the ids of all keys that any process has had in its keyring. No TTL."""
        return f"{PREFIX}:{{meta}}:key_ids"

    def exported(self) -> str:
        """Hash: shard -> how many entries of its audit stream are in the ledger. No TTL."""
        return f"{PREFIX}:{{meta}}:exported"

    def erased(self) -> str:
        """Hash: tombstone of a person who was erased -> when (ms). It names nobody. No TTL."""
        return f"{PREFIX}:{{meta}}:erased"

    def run(self, shard: int) -> str:
        """Hash: the run of the store that was seen last, and which runs before it live on. No TTL."""
        return f"{self._tags[shard]}:run"

    def live_processes(self) -> str:
        """Hash: the processes that live, the store's run and its name. TTL: a day after the last beat."""
        return f"{PREFIX}:{{meta}}:live_processes"

    def processes(self) -> str:
        """Hash: what each running process says of itself every 10 s, `ms|JSON of ProcessRecord`. TTL: 30 s."""
        return f"{PREFIX}:{{processes}}:all"

    def probe(self, shard: int) -> str:
        """String: written by the readiness check to see that writes are taken. TTL: a second."""
        return f"{self._tags[shard]}:probe"

    def api_key(self, key_id: str) -> str:
        """Hash: app, scopes, SHA-256 of the secret, times, mark of the revocation (`revoked`).

        No TTL: revoked keys stay explainable.
        """
        return f"{PREFIX}:{{keys}}:key:{key_id}"

    def api_keys(self) -> str:
        """Set: the ids of all API keys. No TTL."""
        return f"{PREFIX}:{{keys}}:all"

    def api_keys_run(self) -> str:
        """Hash: as `run`, beside the API keys. No TTL."""
        return f"{PREFIX}:{{keys}}:run"

    def api_keys_changed(self) -> str:
        """String: moves with every change of an API key, so that processes know whether to read them again. No TTL."""
        return f"{PREFIX}:{{keys}}:changed"

    def api_key_events(self) -> str:
        """Hash: events of API keys that are not in the audit record yet, `type US app US caller US detail`.

        No TTL: fields go when they are recorded.
        """
        return f"{PREFIX}:{{keys}}:events"

    def idempotency(self, digest: str) -> str:
        """Hash: fingerprint and stored reply of an Idempotency-Key. TTL: 5 s while running, then 24 h."""
        return f"{PREFIX}:idempotency:{{{digest}}}"

    def limit(self, name: str, limit: int, per_ms: int, subject: str) -> str:
        """String: when slots of a limit were taken for one subject, newest first, `ms:count,…`.

        `subject` is a hash of whom the limit is for. TTL: the limit's window.
        """
        return f"{PREFIX}:limit:{{{name}:{limit}:{per_ms}:{subject}}}"

    # ---- the pumping guard of one app ------------------------------------------------------------------------------

    def _guard(self, app: str, name: str) -> str:
        # All of an app in one slot: one script judges and fills every budget of a start.
        return f"{PREFIX}:{{guard:{app}}}:{name}"

    def total(self, app: str) -> str:
        """Hash: the guard's budgets over all countries, its days and its countries. TTL: 200 days."""
        return self._guard(app, "total")

    def country(self, app: str, region: str) -> str:
        """Hash: a country's budgets and days, and its blocks with approvals. TTL: 200 days after the last change."""
        return self._guard(app, f"country:{region}")

    def blocks(self, app: str, region: str) -> str:
        """Hash: keyed hash of a block of 10,000 or 1,000 numbers -> its bucket, `level|ms`. TTL: 2 days and an hour."""
        return self._guard(app, f"blocks:{region}")

    def safe_list(self) -> str:
        """Hash: never counted: `number:`, `block:` (keyed hashes) or `country:` -> `ms|reason`. No TTL."""
        return f"{PREFIX}:{{guards}}:safe_list"

    def addresses(self, app: str) -> str:
        """Hash: keyed hash of an end user's address -> its bucket and countries. TTL: 2 days and an hour."""
        return self._guard(app, "addresses")

    def spend(self, app: str) -> str:
        """Hash: what the app's messages cost in the last 14 days, by day and country. TTL: 16 days."""
        return self._guard(app, "spend")

    def sender_rate(self, sender: str, place: int = 0) -> str:
        """String: when the sender's next message may go, and when that was written, `us|us`. TTL: a second past it.

        `place`: 0; another one, in another slot, while the shard of those before it is dead.
        """
        return f"{PREFIX}:sender_rate:{{{sender}}}" if place == 0 else f"{PREFIX}:sender_rate:{{{sender}/{place}}}"
