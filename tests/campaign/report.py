"""The output: on a terminal one line per fault and a progress bar, and the report at the end."""

import math
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from statistics import median
from typing import Any, TextIO

from otp_service.runtime.dev import embedded_store

from .breaches import ALL_BREACHES, BUDGET, DOUBLE, DUPLICATE, FALSE, GAP, LOST, STUCK
from .evidence import Evidence, Fault
from .judge import Verdict

MAX_SHOWN = 20
MAX_LISTED = 100
"""Breaches of a kind in the JSON report; the text shows fewer."""

_WIDTH = 24
_PLURAL = {
    LOST: "lost",
    STUCK: "stuck",
    DUPLICATE: "duplicates without a cause",
    FALSE: "false approvals",
    DOUBLE: "double approvals",
    BUDGET: "guesses over budget",
    GAP: "audit gaps",
}


class Screen:
    """The terminal. If the output is a pipe, the progress bar and the lines of faults are left out."""

    def __init__(self, stream: TextIO, total_s: float) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._total_s = total_s
        self._began = time.monotonic()

    def write_line(self, line: str) -> None:
        """Write a line above the progress bar."""
        self._stream.write(("\r\x1b[K" if self._live else "") + line + "\n")
        self._stream.flush()

    def fault(self, fault: Fault) -> None:
        """Report a fault that is over, on a terminal only. The JSON report has all faults."""
        if self._live:
            took = fault.ended - fault.began
            self.write_line(f"  {self._elapsed():5.1f} s  {fault.kind:20} {fault.target:8} {took:4.1f} s")

    def bar(self, phase: str, counts: str) -> None:
        """Show the progress."""
        if self._live:
            share = min(1.0, self._elapsed() / self._total_s)
            filled = round(share * _WIDTH)
            bar = "#" * filled + "-" * (_WIDTH - filled)
            self._stream.write(f"\r\x1b[K[{bar}] {self._elapsed():4.0f}/{self._total_s:.0f} s  {phase}  {counts}")
            self._stream.flush()

    def clear(self) -> None:
        """Remove the progress bar."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


def versions() -> dict[str, str]:
    """The versions that ran, so that the run can be repeated."""
    found = {name: version(name) for name in ("otp-service", "uvicorn", "redis", "httpx", "flask")}
    found["python"] = platform.python_version()
    found["store"] = _first_line([str(embedded_store.find_binary()), "--version"])
    found["commit"] = _first_line(["git", "describe", "--always", "--dirty"])
    return found


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return " ".join(done.stdout.split("\n")[0].split()[:3])


def document(verdict: Verdict, about: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    """The report as data."""
    return {
        **about,
        "held": not verdict.breaches,
        "figures": dict(verdict.figures),
        "reasons": dict(verdict.reasons),
        "causes": dict(verdict.causes),
        "responses": dict(sorted(verdict.responses.items())),
        "breaches": {kind: verdict.count(kind) for kind in ALL_BREACHES},
        "recovery_s": {
            row.kind: {"times": len(row.seconds), **_spread([s for s in row.seconds if s is not None])}
            | {"none": row.seconds.count(None)}
            for row in verdict.recovery
        },
        "to_carrier_s": _spread(verdict.to_carrier_s),
        "to_phone_s": _spread(verdict.to_phone_s),
        "refused_s": _spread(verdict.refused_s),
        "healthz_s": _spread(verdict.healthz_s),
        "first_breaches": [
            {"kind": breach.kind, "subject": breach.subject, "detail": breach.detail}
            for kind in ALL_BREACHES
            for breach in [each for each in verdict.breaches if each.kind == kind][:MAX_LISTED]
        ],
        "faults": [
            {"kind": fault.kind, "target": fault.target, "began": fault.began, "ended": fault.ended}
            for fault in evidence.faults
        ],
        "troubles": list(evidence.troubles)[:MAX_SHOWN],
        "paused_s": round(sum(ended - began for began, ended in evidence.pauses), 1),
    }


def text(report: Mapping[str, Any]) -> str:
    """The report as text."""
    figures, breaches = dict(report["figures"]), report["breaches"]
    core = ("accepted", "delivered exactly once", "no SMS, reason stated", "duplicates with cause")
    lines = [_row(name, figures.pop(name), _detail(report, name)) for name in core]
    lines += [_row(_PLURAL[kind], breaches[kind], "" if not breaches[kind] else "BROKEN") for kind in _PLURAL]
    others = {kind: breaches[kind] for kind in ALL_BREACHES if kind not in _PLURAL}
    lines.append(_row("other breaches", sum(others.values()), _counts_text({k: n for k, n in others.items() if n})))
    lines += ["", *(_row(name, count, "") for name, count in figures.items())]
    lines += [_row("responses", sum(report["responses"].values()), _counts_text(report["responses"]))]
    lines += [_spread_row(f"accepted to {where}", report[f"to_{where}_s"]) for where in ("carrier", "phone")]
    lines += [_spread_row("refused after", report["refused_s"]), _spread_row("/healthz", report["healthz_s"])]
    lines += ["", f"{'recovery after':28} {'times':>5} {'p50':>8} {'max':>8}"]
    lines += [_recovery_row(kind, row) for kind, row in report["recovery_s"].items()]
    lines += [f"the campaign was kept from running for {report['paused_s']:.1f} s; times are judged by that"]
    lines += [f"not judged: {trouble}" for trouble in report["troubles"]]
    lines += ["", *_breach_lines(report)]
    return "\n".join(lines)


def _row(name: str, count: int, words: str) -> str:
    return f"{name:28} {count:>7}  {words}".rstrip()


def _spread_row(name: str, spread: Mapping[str, float]) -> str:
    words = ", ".join(f"{which} {seconds:.2f} s" for which, seconds in spread.items())
    return f"{name:28} {words or '-'}"


def _detail(report: Mapping[str, Any], name: str) -> str:
    return _counts_text(
        {"no SMS, reason stated": report["reasons"], "duplicates with cause": report["causes"]}.get(name, {})
    )


def _counts_text(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def _recovery_row(kind: str, row: Mapping[str, Any]) -> str:
    never = f"  ({row['none']} without a success after it)" if row["none"] else ""
    if "p50" not in row:
        return f"{kind:28} {row['times']:>5} {'-':>8} {'-':>8}{never}"
    return f"{kind:28} {row['times']:>5} {row['p50']:>6.2f} s {row['max']:>6.2f} s{never}"


def _breach_lines(report: Mapping[str, Any]) -> list[str]:
    found = report["first_breaches"]
    if not found:
        return ["Every promise held."]
    kinds = [kind for kind in ALL_BREACHES if report["breaches"][kind]]
    lines = [f"{sum(report['breaches'].values())} breaches of {len(kinds)} kinds; the first of each:"]
    for kind in kinds:
        chosen = [breach for breach in found if breach["kind"] == kind][: max(2, MAX_SHOWN // len(kinds))]
        lines += [f"  {kind}: {breach['subject']}: {breach['detail']}" for breach in chosen]
    return [
        *lines,
        f"Repeat with: python -m tests.campaign --store {report['store']} "
        f"--minutes {report['minutes']:g} --seed {report['seed']}",
    ]


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, math.ceil(0.99 * len(ordered)) - 1)]
    return {"p50": round(median(ordered), 3), "p99": round(last, 3), "max": round(ordered[-1], 3)}


def progress_stream() -> TextIO:
    """Progress goes to stderr, so that stdout has only the report."""
    return sys.stderr
