"""Whether an HTTP address on this machine answers 200."""

import urllib.error
import urllib.request

# Not through a proxy of the environment: it is our own loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def probe(url: str) -> tuple[bool, str]:
    """Whether the address answers 200, and the reason if not."""
    try:
        with _OPENER.open(url, timeout=2) as response:
            return response.status == 200, ""
    except urllib.error.HTTPError as error:
        with error:
            return False, error.read(2000).decode(errors="replace")
    except OSError as error:
        return False, str(error)
