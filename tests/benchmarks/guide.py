"""The figures of the sizing guide from the results of a run: what is between the marks of the page, and its picture."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from . import cluster, figures, goals, picture, report, shares
from .goals import CHECK, KNOWN, OURS, START
from .measure import Leg

BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"
LOGINS_A_MINUTE = (60, 600, 6_000, 60_000)
CHECKS_OF_A_LOGIN = 1.2
"""One right code, and some wrong ones before it."""

LOAD = 0.5
"""No core is planned to be busier than this: latency grows with load, and a peak or a lost machine needs room."""

BUSY = "Others used the machine meanwhile, so speeds are too low and CPU times are too high: measure again."
MINUTES_A_DAY, RETENTION_DAYS, LEDGER_DAYS, CODE_TTL_MINUTES = 1_440, 2, 365, 10
"""`[audit] retention` is 48 hours by default; the ledger keeps everything, and is planned for a year."""

RECORDS_OF_A_LOGIN, RECORD_BYTES = 5, 1080
"""In the ledger: started, queued, sending, sent, approved; the first two are one event in the store. Bytes of one in
SQLite with its indexes, measured by `python -m tests.ledger`."""


class Costs(NamedTuple):
    """CPU in microseconds of one start, check and send, and bytes; `sends` are those of one worker process a second."""

    start_api: float
    start_store: float
    known_api: float
    known_store: float
    check_api: float
    check_store: float
    send_worker: float
    send_store: float
    sends: float
    pending_bytes: float
    login_bytes: float
    login_events: float
    event_bytes: float


def costs_of(legs: Sequence[Leg]) -> Costs:
    """The medians of a run. Raises ValueError where a row is missing."""
    start, known, check = (report.of(legs, row.format(16), OURS) for row in (START, KNOWN, CHECK))
    worker, pending, login = "worker, 150 ms", "a pending", "what a login"
    return Costs(
        start_api=_median([leg.cpu_us["service"] for leg in start]),
        start_store=_median([leg.cpu_us["store"] for leg in start]),
        known_api=_median([leg.cpu_us["service"] for leg in known]),
        known_store=_median([leg.cpu_us["store"] for leg in known]),
        check_api=_median([leg.cpu_us["service"] for leg in check]),
        check_store=_median([leg.cpu_us["store"] for leg in check]),
        send_worker=_extra(legs, worker, "worker CPU µs"),
        send_store=_extra(legs, worker, "store CPU µs"),
        sends=_extra(legs, worker, "sends a second"),
        pending_bytes=_extra(legs, pending, "bytes (MEMORY USAGE)"),
        login_bytes=_extra(legs, login, "bytes (MEMORY USAGE), no events"),
        login_events=_extra(legs, login, "audit events"),
        event_bytes=_extra(legs, login, "bytes of an audit event"),
    )


def _median(values: Sequence[float]) -> float:
    found = goals.median(values)
    if found is None:
        raise ValueError("a row is missing: a whole run is needed, with 16 connections")
    return found


def _extra(legs: Sequence[Leg], row: str, name: str) -> float:
    found = goals.extra(row, name)(legs)
    return _median([] if found is None else [found])


class Need(NamedTuple):
    """What so many logins a minute need: cores, processes of the worker, primaries, bytes of store and ledger."""

    api_cores: float
    worker_cores: float
    workers: int
    store_cores: float
    primaries: int
    logins_bytes: float
    events_bytes: float
    ledger_bytes: float


def need(costs: Costs, logins_a_minute: float) -> Need:
    """Each login is a start, a send and some checks; all minutes of a day are alike."""
    per_s, a_day = logins_a_minute / 60, logins_a_minute * MINUTES_A_DAY
    api = costs.start_api + CHECKS_OF_A_LOGIN * costs.check_api
    store = costs.start_store + CHECKS_OF_A_LOGIN * costs.check_store + costs.send_store
    api_cores, store_cores, worker_cores = (per_s * us / 1e6 / LOAD for us in (api, store, costs.send_worker))
    return Need(
        api_cores,
        worker_cores,
        max(1, math.ceil(per_s / costs.sends / LOAD)),
        store_cores,
        max(1, math.ceil(store_cores)),
        costs.login_bytes * a_day + costs.pending_bytes * logins_a_minute * CODE_TTL_MINUTES,
        costs.login_events * costs.event_bytes * a_day * RETENTION_DAYS,
        RECORDS_OF_A_LOGIN * RECORD_BYTES * a_day * LEDGER_DAYS,
    )


# ---- the parts of the page ------------------------------------------------------------------------------------------


def page_part(legs: Sequence[Leg], about: dict[str, str]) -> str:
    """What stands between the marks. Raises ValueError where a row is missing."""
    costs = costs_of(legs)
    lines = [
        f"Measured at commit {about['commit']} on {about['machine']}; rounds: {max(leg.round for leg in legs)}.",
        *([BUSY] if figures.summarize([leg.other_cores for leg in legs]).median > report.QUIET_CORES else []),
        "",
        *_needs(costs),
        *_costs(costs),
        *_cluster(legs),
        *goals.table(legs),
        *shares.table(legs),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _needs(costs: Costs) -> list[str]:
    lines = [
        "### Logins a minute",
        "",
        "| logins a minute need | API cores | worker cores · processes | store cores · primaries "
        f"| store memory: logins of a day | audit events of {RETENTION_DAYS} days | ledger: a year |",
        "|---|---|---|---|---|---|---|",
    ]
    for number in LOGINS_A_MINUTE:
        one = need(costs, number)
        cells = [
            f"{number:,}",
            cores(one.api_cores),
            f"{cores(one.worker_cores)} · {one.workers}",
            f"{cores(one.store_cores)} · {one.primaries}",
            size(one.logins_bytes),
            size(one.events_bytes),
            size(one.ledger_bytes),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _costs(costs: Costs) -> list[str]:
    rows = [
        ("CPU of a start, API · store", f"{costs.start_api:.0f} µs · {costs.start_store:.0f} µs", "start"),
        (
            "CPU of a start of a known number, API · store",
            f"{costs.known_api:.0f} µs · {costs.known_store:.0f} µs",
            "start-known",
        ),
        ("CPU of a check, API · store", f"{costs.check_api:.0f} µs · {costs.check_store:.0f} µs", "check"),
        ("CPU of a send, worker · store", f"{costs.send_worker:.0f} µs · {costs.send_store:.0f} µs", "worker"),
        ("sends a second of one worker process", f"{costs.sends:,.0f}", "worker"),
        ("a pending verification", f"{costs.pending_bytes:,.0f} bytes", "memory"),
        ("a login, kept for a day", f"{costs.login_bytes:,.0f} bytes", "memory"),
        (
            "audit events of a login",
            f"{report.short(costs.login_events)}, {costs.event_bytes:,.0f} bytes each",
            "memory",
        ),
    ]
    ledger = (
        f"| ledger records of a login | {RECORDS_OF_A_LOGIN}, {RECORD_BYTES:,} bytes each | `python -m tests.ledger` |"
    )
    head = ["### What one costs", "", "| | measured | again |", "|---|---|---|"]
    return [*head, *(f"| {what} | {text} | `--rows {word}` |" for what, text, word in rows), ledger, ""]


def _cluster(legs: Sequence[Leg]) -> list[str]:
    found = [leg for leg in legs if leg.row.startswith(cluster.ROW.format(""))]
    if not found:
        return []
    lines = [
        "### A Cluster beside the model",
        "",
        "| | primaries | a second | by the model | CPU API · store | busiest primary's share |",
        "|---|---|---|---|---|---|",
    ]
    pairs = dict.fromkeys((leg.row, leg.target) for leg in found)
    return [*lines, *(_cluster_line(row, name, report.of(found, row, name)) for row, name in pairs), ""]


def _cluster_line(row: str, name: str, legs: Sequence[Leg]) -> str:
    def figure(what: str) -> float:
        return _median([leg.extra[what] for leg in legs])

    cells = [
        row.removeprefix(cluster.ROW.format("")),
        name.rpartition(", ")[2].split(" ")[0],
        f"{figure('a second'):,.0f}",
        f"{figure('by the model'):,.0f}",
        f"{figure('API CPU µs'):.0f} µs · {figure('store CPU µs'):.0f} µs",
        f"{figure(cluster.SHARE):.2f}",
    ]
    return f"| {' | '.join(cells)} |"


def cores(value: float) -> str:
    """A number of cores: `0.02`, `1.4`, `14`."""
    if value < 0.01:
        return "< 0.01"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def size(count: float) -> str:
    """Bytes in words: `1.4 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


# ---- writing --------------------------------------------------------------------------------------------------------


def write(page: Path, drawing: Path, legs: Sequence[Leg], about: dict[str, str]) -> None:
    """Put the figures into the page and draw the picture. Raises ValueError where run or page lacks something."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no marks for its figures")
    part = page_part(legs, about)
    drawing.write_text(picture.draw(legs, about), encoding="utf-8")
    page.write_text(f"{before}{begin}\n{part}\n{end}{after}", encoding="utf-8")
