"""The configuration on record as the rules take it. Secrets and endpoints are not in it."""

from collections.abc import Mapping
from typing import Any, get_type_hints

import msgspec

from ..policy import App, NumberLimits, Policy, Sender

NOT_ON_RECORD = frozenset({"route", "callback", "risk", "test_codes"})
"""Members of an app that the record has in another form, or not at all."""

_HINTS = {name: hint for name, hint in get_type_hints(App).items() if name not in NOT_ON_RECORD}


def read_policy(content: Mapping[str, Any]) -> Policy:
    """Apps, senders and limits of a recorded configuration. Raises KeyError and ValueError for another form."""
    senders = {name: msgspec.convert(value, Sender) for name, value in content["senders"].items()}
    apps = {name: _app(value, senders) for name, value in content["apps"].items()}
    return Policy(apps, senders, msgspec.convert(content["per_number"], NumberLimits))


def _app(value: Mapping[str, Any], senders: Mapping[str, Sender]) -> App:
    # A member that a later version added has its default in a configuration of before.
    members = {name: msgspec.convert(value[name], hint) for name, hint in _HINTS.items() if name in value}
    return App(route=tuple(senders[name] for name in value["route"]), **members)
