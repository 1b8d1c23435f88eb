"""The app that an API key belongs to."""

from ...domain.errors import AppMissing
from ...domain.policy import App, Policy


def configured_app(policy: Policy, name: str) -> App:
    """The app of this name. Raises AppMissing: a key of an app that was removed opens nothing."""
    app = policy.apps.get(name)
    if app is None:
        raise AppMissing(name)
    return app
