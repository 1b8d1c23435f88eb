"""What is told of the texts when a process starts: a brand that makes every SMS cost more."""

import logging

from ..domain.policy import Policy
from ..domain.text_sizes import text_sizes

_log = logging.getLogger("otp.bootstrap")


def tell_text_sizes(policy: Policy) -> None:
    """Log a warning for each app whose brand leaves GSM-7."""
    for name, app in policy.apps.items():
        sizes = text_sizes(app)
        if sizes is not None and sizes.odd:
            _log.warning("the brand leaves GSM-7: its texts take more parts", extra={"app": name, "reason": sizes.told})
