"""A verification bound to whoever started it: a challenge at the start, its verifier at the check (RFC 7636, S256).

A caller keeps the verifier with the session that asked for the code. So who only knows the number or the id can
neither approve nor use up the tries of the person who waits for the code.
"""

import base64
import hashlib
import re

from .errors import InvalidRequest

UNBOUND_CHECKS = 2
"""So many checks without the right verifier are answered as wrong codes; then nothing more is judged."""

CHALLENGE = r"[A-Za-z0-9_-]{43}"
VERIFIER = r"[A-Za-z0-9._~-]{43,128}"
_CHALLENGE, _VERIFIER = re.compile(CHALLENGE, re.ASCII), re.compile(VERIFIER, re.ASCII)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier: SHA-256 in base64url without padding, 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def require_challenge(text: str) -> str:
    """The challenge, if it has the form of one. Raises InvalidRequest."""
    if not _CHALLENGE.fullmatch(text):
        form = "BASE64URL(SHA256(verifier)): 43 characters of A-Z a-z 0-9 - _"
        raise InvalidRequest("code_challenge does not have the form it must have.", [("/code_challenge", form)])
    return text


def require_verifier(text: str) -> str:
    """The verifier, if it has the form of one. Raises InvalidRequest."""
    if not _VERIFIER.fullmatch(text):
        form = "43 to 128 characters of A-Z a-z 0-9 - . _ ~"
        raise InvalidRequest("code_verifier does not have the form it must have.", [("/code_verifier", form)])
    return text
