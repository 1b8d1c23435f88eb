"""Which tests are run for a file of the core: those that are about it, the quick ones first."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LUA = "otp_service/storage/lua"
DOMAIN = "otp_service/domain"
CORE = (f"{LUA}/*.lua", f"{LUA}/*/*.lua", f"{DOMAIN}/*.py")
_VERIFICATION = (
    "exact_verdicts",
    *("starting", "checks", "wrong_code_limits", "resend_cooldown", "number_caps", "ending", "denial", "assertions"),
    *("clock_steps", "late_answers", "released", "latest_hints", "lost_fields", "refusals"),
)
_DELIVERY = (
    *("begin_send", "send_results", "sender_failover", "delivery_reports", "report_order", "closed_deliveries"),
    *("polling", "replaced_sends", "held_routes", "last_sender", "counted_sends", "late_answers", "unknown_senders"),
    "outbox",
)
_TABLE: Sequence[tuple[str, Sequence[str]]] = (
    (f"{LUA}/verification/*", _VERIFICATION),
    (f"{LUA}/delivery/*", _DELIVERY),
    (f"{LUA}/callback/*", ("callbacks",)),
    (f"{LUA}/circuit/*", ("circuits", "released")),
    (f"{LUA}/optout/*", ("optouts",)),
    (f"{LUA}/limit/*", ("limits",)),
    (f"{LUA}/sender/*", ("sender_rate", "circuits")),
    (f"{LUA}/audit/*", ("audit_log", "callbacks")),
    (f"{LUA}/api_key/*", ("api_keys",)),
    (f"{LUA}/alert/*", ("alerts",)),
    (f"{LUA}/sync/*", ("sync_lease",)),
    (f"{LUA}/event/*", ("denial",)),
    (f"{LUA}/process/*", ("fleet",)),
    (f"{LUA}/sealed/*", ("sealed_values",)),
    (f"{LUA}/store/*", ("store_runs", "replicas")),
    (f"{LUA}/factor/*", ("exact_factors", "factors", "store_runs")),
    (f"{LUA}/_guard.lua", ("replicas",)),
    (f"{LUA}/_runs.lua", ("store_runs", "replicas")),
    (f"{LUA}/_life.lua", ("store_runs", *_VERIFICATION)),
    (f"{LUA}/_sends.lua", (*_VERIFICATION, "store_runs", "counted_sends")),
    (f"{LUA}/_slots.lua", ("limits", "sender_rate", "clock_steps")),
    (f"{LUA}/*", (*_VERIFICATION, *_DELIVERY)),
)
_QUICK, _SLOWER = ("domain", "usecases", "config"), ("diagnosis", "contracts", "storage", "web")


def core_files(pattern: str) -> list[str]:
    """The files of the core whose path fits the pattern, or ends with it."""
    paths = sorted(str(path.relative_to(ROOT)) for glob in CORE for path in ROOT.glob(glob))
    return [path for path in paths if fnmatch(path, pattern) or fnmatch(path, f"*/{pattern}")]


def suite_of(path: str) -> list[str]:
    """The test files for a file of the core."""
    if path.endswith(".lua"):
        names = next(names for pattern, names in _TABLE if fnmatch(path, pattern))
        found = [f"tests/storage/test_{name}.py" for name in names]
    else:
        found = _naming(Path(path).stem)
    return [name for name in dict.fromkeys(found) if (ROOT / name).exists()]


def _naming(module: str) -> list[str]:
    """The tests that import a module of the domain: of rules and use cases, or of other layers if there is none."""
    return _importing(module, _QUICK) or _importing(module, _SLOWER)


def _importing(module: str, folders: Sequence[str]) -> list[str]:
    places = [path for folder in folders for path in sorted((ROOT / "tests" / folder).rglob("test_*.py"))]
    wanted = (f"domain.{module} ", f"domain import {module}", f", {module}", f"domain.{module}\n")
    texts = {path: path.read_text(encoding="utf-8") for path in places}
    return [str(path.relative_to(ROOT)) for path, text in texts.items() if any(words in text for words in wanted)]
