"""The callback settings of an app: its address and the secrets that sign."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

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
    place = SecretPlace(
        secret_variable(name),
        f"apps.{name}.callback_secret_file",
        section.callback_secret_file,
        f"{key}: callbacks are signed",
    )
    secrets: tuple[str, ...] = faults.attempt(lambda: read_secrets(place, environ), tuple[str, ...]())
    return Endpoint(url, secrets, private)


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where the secrets of one endpoint may stand: a variable, or the file that a key names.

    `why`: the beginning of the sentence that says that there are none.
    """

    variable: str
    key: str
    file: str | None
    why: str


def read_secrets(place: SecretPlace, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets that sign. Raises ConfigError."""
    text, source = _secret_text(place, environ)
    try:
        return signatures.parse_all(text)
    except ValueError as error:
        raise ConfigError(f"{source}: {error}") from None


def _secret_text(place: SecretPlace, environ: Mapping[str, str]) -> tuple[str, str]:
    """The secrets and the variable or key that they come from."""
    text = secret(environ, place.variable)
    if text is not None:
        return text, place.variable
    if place.file is not None:
        return read_secret(place.file, place.key), place.key
    raise ConfigError(
        f"{place.why}, and there is no secret; set {place.variable}, {place.variable}_FILE or "
        f"{place.key} (make one with: otp-service callbacks keygen)"
    )


def check_variables(apps: Iterable[str], variable_of: Callable[[str], str], key: str, faults: Faults) -> None:
    """Two apps must not share a variable: one would be signed with the other's secret. `key`: what has secrets.

    The variable of app `a` may be that of app `A`, and `a`'s file variable that of an app `a_file`.
    """
    owners: dict[str, str] = {}
    for name in apps:
        variables = [variable_of(name), f"{variable_of(name)}_FILE"]
        taken = [variable for variable in variables if variable in owners]
        if taken:
            faults.add(
                f"apps.{name}.{key}",
                f"{taken[0]} would also belong to the app {owners[taken[0]]!r}; give one of them another name",
            )
        owners |= dict.fromkeys(variables, name)
