"""otp-service: self-hosted two-factor authentication, with one-time codes sent over Telnyx.

Start reading at `bootstrap/` (how the parts are put together) or in `usecases/` (what the service does).
"""

import sys

__version__ = "0.2.0"

# httpx imports its own command line wherever that can be imported, with rich and pygments: a tenth of the time and of
# the memory of each process. With None here it does without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
