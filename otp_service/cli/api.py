"""The service's API for commands: OTP_URL and OTP_API_KEY say where and as whom, or the `otp-service dev` of here.

Every refusal is one sentence: the problem's detail and its code.
"""

from collections.abc import Mapping
from typing import Any

from .. import config
from ..domain.errors import ServiceError

TIMEOUT_S = 10.0


class ApiFailed(ServiceError):
    """The API refused, or cannot be reached."""

    code = "api_error"


def call(method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    """One request; its answer as JSON, empty for none. Raises ApiFailed and ConfigError."""
    import httpx  # noqa: PLC0415

    access = config.load_api()
    try:
        answer = httpx.request(
            method,
            f"{access.url}{path}",
            json=body,
            headers={"Authorization": f"Bearer {access.key}"},
            timeout=TIMEOUT_S,
        )
        found: dict[str, Any] = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError) as error:
        raise ApiFailed(f"the API at {access.url} does not answer ({type(error).__name__}): check OTP_URL") from error
    if answer.is_success:
        return found
    raise ApiFailed(_sentence(answer.status_code, found))


def _sentence(status: int, problem: Mapping[str, Any]) -> str:
    where = ", ".join(f"{one['pointer']}: {one['detail']}" for one in problem.get("errors", []))
    detail = f"{problem.get('detail', 'The API refused.')} ({problem.get('code', status)})"
    return f"{detail} {where}".strip()
