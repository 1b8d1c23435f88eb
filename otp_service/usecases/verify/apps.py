"""The app that an API key belongs to."""

from ...domain.errors import NotReady
from ...domain.policy import App, Policy


def configured_app(policy: Policy, name: str) -> App:
    """The app of this name. Raises NotReady: a key of an app that was removed opens nothing."""
    app = policy.apps.get(name)
    if app is None:
        raise NotReady(f"The configuration has no app {name!r}; this API key belongs to it.")
    return app
