"""Every metric and log field the service has, and the one way to write a log line. A leaf: knows nothing of the rest.

A log line is one JSON object. Only fields named here are written, so a value that is passed by mistake does not reach
the log. None of them may hold a code, a key or a full number.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from . import metric_values
from .clock import rfc3339

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `metrics_text`."""

FIELDS = (
    "request_id",
    "method",
    "route",
    "status",
    "code",
    "duration_ms",
    "app",
    "key_id",
    "verification_id",
    "delivery_id",
    "sender",
    "try",
    "to",
    "outcome",
    "reason",
    "wait_ms",
    "wish",
    "carrier_code",
    "action",
    "script",
    "event_type",
    "callback_id",
    "messaging_profile_id",
    "task",
    "scope",
    "kind",
    "state",
    "read",
    "changed",
    "skipped",
    "lifted",
    "error",
    "where",
    "checkpoint",
)

metric_values.use()

REGISTRY = CollectorRegistry()
"""Our own, so that every name begins with `otp_`."""

REQUESTS = Counter("otp_http_requests", "Requests answered.", ["method", "route", "status"], registry=REGISTRY)
LATENCY = Histogram(
    "otp_http_request_seconds",
    "Time to answer a request.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
    registry=REGISTRY,
)
STARTS = Counter(
    "otp_verifications_started",
    "Codes queued, by app and whether the verification was new.",
    ["app", "kind"],
    registry=REGISTRY,
)
CHECKS = Counter("otp_checks", "Guesses judged or refused, by app and answer.", ["app", "answer"], registry=REGISTRY)
REFUSALS = Counter("otp_start_refusals", "Starts refused, by app and reason.", ["app", "reason"], registry=REGISTRY)
LIMITS = Counter(
    "otp_limits_exceeded",
    "Starts and checks that a limit has refused (enforce) or would have (monitor), by app, limit and mode.",
    ["app", "limit", "mode"],
    registry=REGISTRY,
)
SENDS = Counter(
    "otp_carrier_sends", "Calls to the carrier, by sender and outcome.", ["sender", "outcome"], registry=REGISTRY
)
WEBHOOKS = Counter("otp_webhooks", "Webhooks received, by type and verdict.", ["type", "verdict"], registry=REGISTRY)
STORE_ERRORS = Counter("otp_store_errors", "Requests that the store could not answer.", registry=REGISTRY)
WATCHES = Counter("otp_watches", "Requests that waited for news, by how it ended.", ["outcome"], registry=REGISTRY)
OPTOUT_SYNCS = Counter(
    "otp_optout_syncs", "Passes over the carrier's list of opt-outs, by outcome.", ["outcome"], registry=REGISTRY
)
OPTOUT_SYNCED = Gauge(
    "otp_optout_synced_timestamp_seconds",
    "When the carrier's list of opt-outs was last read to its end (Unix time).",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CIRCUIT_CHANGES = Counter(
    "otp_circuit_changes",
    "Breakers that opened or closed, by scope and what they did.",
    ["scope", "to"],
    registry=REGISTRY,
)
CIRCUITS = Gauge(
    "otp_circuit_open",
    "Whether a breaker is open: 0 closed, 1 open, 0.5 half open, by scope.",
    ["scope"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
GUARD = Counter(
    "otp_guard",
    "Starts of unknown numbers by what the pumping guard said, once for each budget without room, and what happened to "
    "its budgets.",
    ["app", "budget", "outcome"],
    registry=REGISTRY,
)
GUARD_LEVEL = Gauge(
    "otp_guard_unapproved",
    "Codes nobody has used yet in a budget of the pumping guard; the country is `all` where it is over all of them.",
    ["app", "country", "budget"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
GUARD_MOST = Gauge(
    "otp_guard_budget_limit",
    "How many a budget of the pumping guard holds now.",
    ["app", "country", "budget"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
GUARD_SMALL = Gauge(
    "otp_guard_spent_budgets",
    "Blocks of numbers and end users' addresses that the pumping guard refused within the hour, or would have.",
    ["app", "budget"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
COST = Counter(
    "otp_cost",
    "What the carrier's reports say that messages cost, by app, country and currency.",
    ["app", "country", "currency"],
    registry=REGISTRY,
)
SPEND_TODAY = Gauge(
    "otp_spend_today",
    "What an app's messages cost today (UTC), in the currency of the prices; expected where no report says it yet.",
    ["app"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
SPEND_LIMIT = Gauge(
    "otp_spend_limit",
    "What an app may spend on messages in a day, where it has a limit.",
    ["app"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
ALERTS = Counter("otp_alerts", "Alerts to the people on call, by outcome.", ["outcome"], registry=REGISTRY)
GUESSING = Gauge(
    "otp_guessing_level",
    "How hard codes are made to guess, by app: 0 as usual, 1 fewer tries, 2 fewest tries.",
    ["app"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
RISK = Counter("otp_risk_answers", "Answers of risk hooks, by app and word.", ["app", "answer"], registry=REGISTRY)
CALLBACKS = Counter(
    "otp_callbacks", "Callbacks queued, sent and given up, by app and outcome.", ["app", "outcome"], registry=REGISTRY
)
CALLBACKS_WAITING = Gauge(
    "otp_callbacks_waiting",
    "Callbacks that wait to be sent, by app.",
    ["app"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
CALLBACKS_DEAD = Gauge(
    "otp_callbacks_dead",
    "Callbacks that were given up and can be replayed, by app.",
    ["app"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
OUTBOX_DEPTH = Gauge(
    "otp_outbox_depth",
    "Deliveries waiting to be sent, over all shards.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
STORE_RUNS = Counter(
    "otp_store_runs",
    "How often a process found the store restarted, by what became of codes (codes_kept, codes_ended), or emptied.",
    ["found"],
    registry=REGISTRY,
)
STORE_UNCONFIRMED = Counter(
    "otp_store_unconfirmed",
    "Writes that not all replicas acknowledged in time: the caller was refused, and what was written may stand.",
    registry=REGISTRY,
)
STORE_MEMORY = Gauge(
    "otp_store_memory_ratio",
    "How much of its maxmemory the fullest server of the store uses, 0 to 1.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
STORE_DAYS_LEFT = Gauge(
    "otp_store_days_left",
    "Days until the store is full at the present growth; +Inf if the audit retention comes first, or nothing is known.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LEDGER_WAITING = Gauge(
    "otp_ledger_waiting",
    "Entries of the audit streams that are not in the ledger yet.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LEDGER_GAPS = Gauge(
    "otp_ledger_gaps",
    "Times that the store lost or repeated events of the audit record, until somebody has accepted them.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LOG_SIGNED_AT = Gauge(
    "otp_log_signed_at_seconds",
    "Unix time of the newest checkpoint of the audit log.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LOG_UNSIGNED = Gauge(
    "otp_log_unsigned_records",
    "Records of the ledger that no checkpoint has yet.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LOG_REFUSED = Gauge(
    "otp_log_signing_refused",
    "1 while no checkpoint can be signed, because the log is not as it was signed before.",
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
LOG_WITNESS_LAG = Gauge(
    "otp_log_witness_lag_records",
    "Signed records that a witness has not cosigned yet.",
    ["witness"],
    multiprocess_mode="mostrecent",
    registry=REGISTRY,
)
OUTBOX_DEAD = Counter(
    "otp_outbox_dead",
    "Unreadable entries and timers that were moved to the dead letters, by kind.",
    ["kind"],
    registry=REGISTRY,
)
HANDED_BACK = Counter(
    "otp_handed_back",
    "Deliveries that a worker left to others, by what it did not know.",
    ["reason"],
    registry=REGISTRY,
)
LOG_DROPPED = Counter(
    "otp_log_lines_dropped", "Log lines that were not written, because the log is read too slowly.", registry=REGISTRY
)
WORKER_BUSY = Gauge(
    "otp_worker_jobs", "Deliveries in flight in the workers.", multiprocess_mode="livesum", registry=REGISTRY
)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, known fields. Exceptions by type and place only.

    An exception's text may repeat what a caller sent, so it is never written.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = _line(record.created, record.levelname.lower(), record.name, record.getMessage(), record.__dict__)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["where"] = _where(record)
        return as_json(line)


def _line(at: float, level: str, logger: str, message: str, fields: Mapping[str, object]) -> dict[str, object]:
    line: dict[str, object] = {"at": rfc3339(int(at * 1000)), "level": level, "logger": logger, "message": message}
    for name in _shown(tuple(fields)):
        line[name] = fields[name]
    return line


@lru_cache(maxsize=256)
def _shown(names: tuple[str, ...]) -> list[str]:
    """Which of a record's names a line shows, in their order. Few sets of names occur."""
    return [name for name in FIELDS if name in names]


_encode = msgspec.json.Encoder(enc_hook=str).encode


def as_json(line: Mapping[str, object]) -> str:
    """A log line as JSON."""
    try:
        return _encode(line).decode()
    except (UnicodeEncodeError, OverflowError):
        # Texts with half a character in them, and integers beyond 64 bits.
        return json.dumps(line, default=str)


def _where(record: logging.LogRecord) -> list[str]:
    trace = record.exc_info[2] if record.exc_info else None
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{Path(code.co_filename).name}:{trace.tb_lineno}:{code.co_name}")
        trace = trace.tb_next
    return places[-8:]


_ROOT = logging.getLogger()


def log_request(logger: logging.Logger, fields: Mapping[str, object]) -> None:
    """Log one request, as `logger.info("request", extra=fields)` does. `fields` belong to the line from then on.

    Where `log_writer` alone writes our log, no record is made, which would cost the request more than all else of it.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    handlers = _ROOT.handlers
    put_line = getattr(handlers[0], "put_line", None) if len(handlers) == 1 else None
    if put_line is None:
        logger.handle(logger.makeRecord(logger.name, logging.INFO, "", 0, "request", (), None, None, fields))
    else:
        put_line(logger.name, partial(_request_line, time.time(), logger.name, fields))


def _request_line(at: float, logger: str, fields: Mapping[str, object]) -> str:
    return as_json(_line(at, "info", logger, "request", fields))


child, count, observe = metric_values.child, metric_values.count, metric_values.observe


def look_for_no_places() -> None:
    """No line of ours shows the place, thread or process of what it tells: looking for them costs half of a line.

    For a process that is ours alone. Another server's own lines may show them.
    """
    logging._srcfile = None  # the way that Python's documentation names
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def configure_logging(level: str, stream: TextIO | None = None, handler: logging.Handler | None = None) -> None:
    """Send all log lines as JSON to the stream (stderr by default), or to the handler."""
    handler = handler or logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("otp").setLevel(level)
    # httpx logs every URL at INFO, and ours name deliveries.
    logging.getLogger("httpx").setLevel("WARNING")


def metrics_text() -> bytes:
    """All metrics in Prometheus' text format; of all processes of this machine that share PROMETHEUS_MULTIPROC_DIR."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(REGISTRY)
