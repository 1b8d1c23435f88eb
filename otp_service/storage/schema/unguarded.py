"""Scripts whose answer does not wait for replicas, and what a failover that forgets what they wrote costs.

Every other script waits (`_guard.lua`): whoever is told its answer may rely on it. A test holds the list.
"""

from collections.abc import Mapping

_AGAIN = "whoever did it does it again"
_LIMITS = "limits and breakers do not wait: a few requests more may pass"
_TRIES = "the message is sent again with the same Idempotency-Key, or the carrier is asked for it"
_RECORD = "an event is lost or recorded again; the ledger takes none that the replicas lack"

UNGUARDED: Mapping[str, str] = {
    "alert/claim": "people on call are alerted once more",
    "alert/raise": "the cause raises it again while it lasts",
    "audit/append": _RECORD,
    "audit/skip_old": _AGAIN,
    "audit/trim": _AGAIN,
    "callback/announce": "the next look announces the app again",
    "callback/claim": "the queue waits for the replicas itself, before anything is posted",
    "callback/dead_letter": "the callback is tried once more",
    "callback/put": "its event stays with the reader until the replicas have the callback",
    "callback/record_sent": "the callback is posted again with the same bytes and id",
    "callback/replay": "it is a dead letter still, and can be replayed again",
    "callback/schedule_retry": "the callback is tried once more",
    "circuit/admit": _LIMITS,
    "circuit/record_fault": _LIMITS,
    "circuit/record_hold": _LIMITS,
    "circuit/record_success": _LIMITS,
    "delivery/apply_report": "the carrier is asked for the message later, and its list for opt-outs",
    "delivery/claim_failover": "the timer stands, and the next sender is claimed again",
    "delivery/claim_guarded": "the guard gets it back twice or not at all: a message more or less in its budget",
    "delivery/claim_poll": _TRIES,
    "delivery/claim_slots": _LIMITS,
    "delivery/close_delivery": "the timer stands, and closes it again",
    "delivery/follow_clock": _AGAIN,
    "delivery/pass_to_next_sender": _TRIES,
    "delivery/record_accepted": _TRIES,
    "delivery/record_click": "a click is missing in the timeline",
    "delivery/record_held": _TRIES,
    "delivery/record_impossible": _TRIES,
    "delivery/record_rate_wait": _TRIES,
    "delivery/record_refused": _TRIES,
    "delivery/record_retry": _TRIES,
    "delivery/record_unknown": _TRIES,
    "delivery/replay_dead": "it is a dead letter still, and can be replayed again",
    "delivery/requeue": "the timer stands, and queues it again",
    "delivery/return_to_queue": _TRIES,
    "delivery/set_aside_entry": _AGAIN,
    "delivery/set_aside_timer": _AGAIN,
    "factor/note_told": _RECORD,
    "factor/told_all": "the notices are tried again, and each is known by its operation: nobody is told twice",
    "guard/count_known": _LIMITS,
    "guard/give_back": _LIMITS,
    "guard/take": _LIMITS,
    "guesses/count": "the rate of wrong codes is of a moment earlier",
    "idempotency/complete": "the step knows its own operation by the key, and gives the same answer again",
    "idempotency/reserve": "the step knows its own operation by the key, and gives the same answer again",
    "limit/take": _LIMITS,
    "optout/lift": "the next reading of the carrier's list lifts it again",
    "process/announce": _AGAIN,
    "sealed/replace": "`keyring status` counts it under the old key again, and `keyring retire` refuses",
    "sender/count_result": "the rates of a sender are of a moment earlier",
    "sender/take_rate_slot": _LIMITS,
    "spend/settle": "the day's sum has the expected price of a message in place of its cost",
    "spend/take": "the day's sum is short of what was taken in the last moment",
    "store/beat": "what a new run has lost is judged by what every process remembers, and by a WAIT of its own",
    "store/count_replicas": "the new primary counts anew",
    "store/note_run": "the new primary notes its own",
    "sync/acquire_lease": "two processes read the carrier's list",
    "sync/advance": "a page of the carrier's list is read again",
    "sync/release_lease": "the lease ends by itself",
    "verification/expire": "the time itself ends it, and its timer stands",
}
"""Name of the script to what becomes of it."""
