"""The settings of a command, from configuration and environment."""

from typing import TYPE_CHECKING

from .output import note
from .parser import UsageError

if TYPE_CHECKING:
    from ..config import Settings


def load_settings() -> "Settings":
    """Everything that is configured. Raises ConfigError."""
    from .. import config  # noqa: PLC0415

    return config.load(config.environment())


def duration_ms(text: str, option: str) -> int:
    """The milliseconds of a duration such as "12h". Raises ConfigError naming the option."""
    from .. import config  # noqa: PLC0415

    return config.duration_ms(text, option)


def known_app(settings: "Settings", app: str) -> str:
    """The app, if it is configured. Raises UsageError."""
    apps = settings.policy.apps
    if settings.config_path is None:
        note(f"no configuration found (OTP_CONFIG), so nothing is known about the app {app!r}")
    elif app not in apps:
        raise UsageError(f"there is no app {app!r} in {settings.config_path} (there: {', '.join(sorted(apps)) or '-'})")
    return app
