"""`[apps.NAME.risk]`: whom the app asks before a code is sent."""

from collections.abc import Mapping
from typing import Any

from ..domain import receiver_url
from ..domain.callback import Endpoint
from ..domain.risk import RiskHook
from .callbacks import SecretPlace, read_secrets
from .faults import Faults
from .sections import RiskSection
from .tables import read_section


def risk_variable(app: str) -> str:
    """The environment variable of the secrets that sign an app's questions."""
    return "OTP_RISK_SECRET_" + app.upper().replace("-", "_")


def read_hook(app: str, raw: Any, environ: Mapping[str, str], faults: Faults) -> RiskHook | None:
    """The hook of an app. None if it has none; of no use if there are faults."""
    if raw is None:
        return None
    key = f"apps.{app}.risk"
    section = read_section(raw, RiskSection, key, faults)
    endpoint = _endpoint(app, key, section, environ, faults)
    given: dict[str, Any] = {
        "timeout_ms": section.timeout_ms,
        "on_failure": section.on_failure,
        "number": section.number,
        "client_ip": section.client_ip,
    }
    return RiskHook(endpoint, **{name: value for name, value in given.items() if value is not None})


def _endpoint(app: str, key: str, section: RiskSection, environ: Mapping[str, str], faults: Faults) -> Endpoint:
    url, private = section.url or "", bool(section.allow_private)
    objection = receiver_url.objection(url, allow_private=private, setting="allow_private") if url else None
    if objection is not None:
        faults.add(f"{key}.url", objection)
    place = SecretPlace(risk_variable(app), f"{key}.secret_file", section.secret_file, f"{key}: questions are signed")
    return Endpoint(url, faults.attempt(lambda: read_secrets(place, environ), tuple[str, ...]()), private)
