"""What can go wrong, by what the caller of a function would do about it.

Expected outcomes of the use cases (a wrong code, a limit reached, an expired verification) are *values*
(`Refusal`); exceptions mean a broken request or broken surroundings. Both carry a `code`, a stable snake_case word;
which HTTP status belongs to it is a matter of `web.problems`, not of this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Refusal(msgspec.Struct, frozen=True, eq=False):
    """The service understood and says no.

    `code` is the stable word, `detail` a sentence that says what to do next, `retry_after_s` whole seconds until
    the same request can pass (None if it never will by itself), `fields` further members of the problem document.
    `verification_id`: what it is about, for the log and not for the caller. `limit`: which limit refuses, if one does.
    `guessed`: a code was compared, counted, and wrong.
    """

    code: str
    detail: str
    retry_after_s: int | None = None
    fields: Mapping[str, Any] = {}
    verification_id: str | None = None
    limit: str = ""
    guessed: bool = False

    def __eq__(self, other: object) -> bool:
        """Whether the caller would be told the same."""
        return isinstance(other, Refusal) and self._told() == other._told()

    def __hash__(self) -> int:
        """Of what is always hashable."""
        return hash((self.code, self.detail))

    def _told(self) -> tuple[object, ...]:
        return self.code, self.detail, self.retry_after_s, self.fields


class ServiceError(Exception):
    """Base of every exception this service raises on purpose. `code` is the stable word."""

    code = "internal_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(ServiceError):
    """The request's form is wrong. `errors` is a list of (RFC 6901 JSON pointer, sentence)."""

    code = "invalid_request"

    def __init__(self, detail: str, errors: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors)


class InvalidNumber(ServiceError):
    """The phone number is not one that can exist in strict E.164."""

    code = "invalid_number"


class StoreUnavailable(ServiceError):
    """The store did not answer, or refused a write. Nothing may be assumed to have happened.

    `nothing_written`: nothing has. Otherwise it may have.
    """

    code = "store_unavailable"

    def __init__(self, detail: str, *, nothing_written: bool = False) -> None:
        super().__init__(detail)
        self.nothing_written = nothing_written


class CarrierUnavailable(ServiceError):
    """The carrier refused a question, did not answer it, or answered what cannot be read."""

    code = "carrier_unavailable"


class NotReady(ServiceError):
    """The service must not work in its present surroundings (configuration, store policy, key missing)."""

    code = "not_ready"


class AppMissing(NotReady):
    """The configuration of this process has no app `app`. The API key that was used belongs to it."""

    def __init__(self, app: str) -> None:
        super().__init__(
            f"This API key belongs to the app {app!r}, which the configuration of this process does not have. Nothing "
            "was done. Operators: bring the app back into the configuration, or revoke the key."
        )
        self.app = app


class ConfigError(ServiceError):
    """The configuration cannot be used; the sentence names the key."""

    code = "config_error"


class SealBroken(ServiceError):
    """A sealed value was changed, or is none."""


class KeyUnknown(NotReady):
    """Something was made with the key `kid`, which is not in this process's keyring.

    That is no verdict: another process, or this one a moment later, may have the key.
    """

    def __init__(self, kid: str) -> None:
        super().__init__("It was made with a key that is not in the keyring of this process.")
        self.kid = kid


def changed_nothing(error: KeyUnknown | StoreUnavailable) -> bool:
    """Whether what ended in this error has certainly counted nothing: what was taken for it can be given back."""
    return isinstance(error, KeyUnknown) or error.nothing_written
