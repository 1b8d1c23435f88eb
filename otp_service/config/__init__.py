"""The configuration: a TOML file, the environment and secret files, as typed values.

`load` reads everything. `sections` has the keys of the file, `variables` the environment, `checks` the rules of single
values, `settings` the result.
"""

from .api_access import ApiAccess, load_api
from .dev_environment import environment
from .duration import duration_ms
from .example import DEV_TOML
from .faults import Faults
from .file import DEFAULT_FILE
from .keyring import load_keyring
from .load import load, load_carrier
from .settings import LEDGER_FILE, CarrierAccess, Settings
from .variables import require_url

__all__ = [
    "DEFAULT_FILE",
    "DEV_TOML",
    "LEDGER_FILE",
    "ApiAccess",
    "CarrierAccess",
    "Faults",
    "Settings",
    "duration_ms",
    "environment",
    "load",
    "load_api",
    "load_carrier",
    "load_keyring",
    "require_url",
]
