"""Records for people: a line each, as text and as a page."""

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..domain.audit import POLICY_DIGITS

_CSS = "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:left;vertical-align:top}"
_POLICY = len("sha256:") + POLICY_DIGITS
_HEAD = ("record", "time", "event", "app", "delivery", "caused by", "detail")


def _cells(leaf: Mapping[str, Any]) -> list[str]:
    by = leaf.get("by") or {}
    named_by = {**by, "process": leaf.get("process"), "policy": (leaf.get("policy") or "")[:_POLICY]}
    cause = ", ".join(f"{name} {value}" for name, value in named_by.items() if value)
    detail = ", ".join(f"{name}={_shown(value)}" for name, value in leaf["detail"].items())
    named = (leaf["seq"], leaf["at"], leaf["type"], leaf["app"], leaf["delivery_id"] or leaf["verification_id"])
    cells = [*("-" if value is None else str(value) for value in named), cause or "-", detail or "-"]
    return [_plain(cell) for cell in cells]


def _plain(cell: str) -> str:
    """Without control characters: one that ends a line or turns it round would make a line that no record says."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cell)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def timeline_text(leaves: Iterable[Mapping[str, Any]]) -> str:
    """A line for each record, in their order."""
    return "".join("  ".join(_cells(leaf)) + "\n" for leaf in leaves)


def timeline_html(leaves: Iterable[Mapping[str, Any]]) -> str:
    """A page without scripts that loads nothing."""
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _cells(leaf))}</tr>\n" for leaf in leaves)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Timeline</title><style>{_CSS}</style>\n'
        f"<h1>Timeline</h1>\n<table><tr>{head}</tr>\n{rows}</table></html>\n"
    )
