"""A record as a line of an export: JSON, CSV or syslog (RFC 5424)."""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "ledger_seq",
    "seq",
    "at",
    "type",
    "app",
    "verification_id",
    "n",
    "delivery_id",
    "to",
    "number_hash",
    "key_id",
    "request_id",
    "address",
    "policy",
    "detail",
    "process",
)
"""The columns of a CSV export, in this order. `detail` is JSON. A new one comes last: a file may be gone on with."""

PRIORITY = 13 * 8 + 6
"""Facility 13 (log audit), severity 6 (informational)."""

STRUCTURED_ID = "event@32473"
"""The name of the structured data. 32473 is the enterprise number for documentation (RFC 5612)."""

Line = Mapping[str, Any]
"""The columns by their names."""


def json_line(line: Line) -> str:
    """One JSON object."""
    return json.dumps(line, ensure_ascii=False)


def csv_line(line: Line) -> str:
    """One row (RFC 4180, without its line end)."""
    return _row(json.dumps(line[name]) if name == "detail" else line[name] for name in COLUMNS)


def csv_head() -> str:
    """The names of the columns."""
    return _row(COLUMNS)


def _row(values: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow("" if value is None else value for value in values)
    return text.getvalue()


def syslog_line(line: Line, host: str) -> str:
    """One message: the columns as structured data, the detail as the text. `host` names this machine."""
    named = [(name, line[name]) for name in COLUMNS if name not in ("at", "type", "detail")]
    data = " ".join(f'{name}="{_escaped(str(value))}"' for name, value in named if value is not None)
    head = f"<{PRIORITY}>1 {line['at']} {host or '-'} otp-service - {line['type'] or '-'}"
    return f"{head} [{STRUCTURED_ID} {data}] {json.dumps(line['detail'])}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
