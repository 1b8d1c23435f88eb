"""`otp-service audit`: reading the audit log."""

from typing import Any

from . import (
    audit_check,
    audit_erase,
    audit_explain,
    audit_export,
    audit_log,
    audit_tail,
    audit_verify,
    evidence,
)
from .parser import add_group


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    audit = add_group(groups, "audit", line="read the audit log", example="otp-service audit tail --follow --json")
    audit_tail.register(audit)
    audit_export.register(audit)
    audit_log.register(audit)
    audit_verify.register(audit)
    audit_erase.register(audit)
    evidence.register(audit)
    audit_check.register(audit)
    audit_explain.register(audit)
