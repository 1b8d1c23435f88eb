"""Reads request bodies: checks each field's type, and reports an error with its JSON pointer.

`null` counts as absent and unknown fields are ignored; Telnyx's own clients rely on both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from otp_service.sandbox.errors import CarrierError
from otp_service.sandbox.webhooks import is_web_url


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def parse_object(raw: bytes) -> Fields:
    """The body as an object, or a `CarrierError`."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise CarrierError(400, "10023", "The request body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise CarrierError(400, "10015", "The request body must be a JSON object.")
    return Fields(value)


class Fields:
    """The fields of an object; `values` has them unchecked."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def text(self, name: str) -> str | None:
        """A string, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _type_error(name, "a string")
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise CarrierError(400, "10015", f"The '{name}' parameter is not valid Unicode.", pointer=f"/{name}")
        return value

    def required_text(self, name: str) -> str:
        """A string; `CarrierError` if it is absent."""
        value = self.text(name)
        if value is None:
            raise missing(name)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """A boolean."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise _type_error(name, "a boolean")
        return value

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of the `allowed` strings."""
        value = self.text(name)
        if value is None:
            return default
        if value not in allowed:
            raise CarrierError(
                422, "10032", f"The '{name}' parameter must be one of {', '.join(allowed)}.", pointer=f"/{name}"
            )
        return value

    def url(self, name: str) -> str | None:
        """An http or https URL; an empty string counts as absent."""
        value = self.text(name)
        if not value:
            return None
        if len(value) > 2048 or not is_web_url(value):
            raise CarrierError(
                422, "10015", f"The '{name}' parameter must be an http or https URL.", pointer=f"/{name}"
            )
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of strings, or None."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _type_error(name, "a list of strings")
        return tuple(value)

    def object(self, name: str) -> Mapping[str, Any] | None:
        """An object, or None."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            raise _type_error(name, "an object")
        return value


def missing(name: str) -> CarrierError:
    """A required field is absent."""
    return CarrierError(422, "10004", f"The '{name}' parameter is required.", pointer=f"/{name}")


def _type_error(name: str, wanted: str) -> CarrierError:
    return CarrierError(422, "10026", f"The '{name}' parameter must be {wanted}.", pointer=f"/{name}")
