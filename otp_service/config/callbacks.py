"""The callback settings of an app: its address and the secrets that sign."""

from collections.abc import Mapping

from ..domain import receiver_url
from ..domain.callback import Endpoint
from ..domain.errors import ConfigError
from ..receivers import signatures
from .faults import Faults
from .sections import AppSection
from .variables import read_secret, secret


def secret_variable(app: str) -> str:
    """The environment variable of an app's secret."""
    return "OTP_CALLBACK_SECRET_" + app.upper().replace("-", "_")


def read_endpoint(name: str, section: AppSection, environ: Mapping[str, str], faults: Faults) -> Endpoint | None:
    """Where the app's callbacks go; None if it has none or there are faults."""
    key = f"apps.{name}.callback_url"
    url, private = section.callback_url, bool(section.callback_allow_private)
    if url is None:
        if section.callback_secret_file is not None or private:
            faults.add(key, "missing; without it there are no callbacks to sign or to allow")
        return None
    objection = receiver_url.objection(url, allow_private=private)
    if objection is not None:
        faults.add(key, objection)
    secrets: tuple[str, ...] = faults.attempt(lambda: _secrets(name, section, environ), tuple[str, ...]())
    return Endpoint(url, secrets, private)


def _secrets(name: str, section: AppSection, environ: Mapping[str, str]) -> tuple[str, ...]:
    text, source = _secret_text(name, section, environ)
    try:
        return signatures.parse_all(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _secret_text(name: str, section: AppSection, environ: Mapping[str, str]) -> tuple[str, str]:
    """The secrets and the variable or key that they come from."""
    variable, key = secret_variable(name), f"apps.{name}.callback_secret_file"
    text = secret(environ, variable)
    if text is not None:
        return text, variable
    if section.callback_secret_file is not None:
        return read_secret(section.callback_secret_file, key), key
    raise ConfigError(
        f"apps.{name}.callback_url: callbacks are signed, and there is no secret; set {variable}, {variable}_FILE or "
        f"{key} (make one with: otp-service callbacks keygen)"
    )


def check_variables(sections: Mapping[str, AppSection], faults: Faults) -> None:
    """Two apps must not share a variable: one would be signed with the other's secret.

    The variable of app `a` may be that of app `A`, and `a`'s file variable that of an app `a_file`.
    """
    owners: dict[str, str] = {}
    for name in (name for name, section in sections.items() if section.callback_url is not None):
        variables = [secret_variable(name), f"{secret_variable(name)}_FILE"]
        taken = [variable for variable in variables if variable in owners]
        if taken:
            faults.add(
                f"apps.{name}.callback_url",
                f"{taken[0]} would also belong to the app {owners[taken[0]]!r}; give one of them another name",
            )
        owners |= dict.fromkeys(variables, name)
