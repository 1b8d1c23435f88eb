"""A text of ours as it is sent, for tests of replies."""

from typing import Any

from otp_service.domain.message_text import TextTooLong, render

NO = frozenset({"no"})


def rendered(**words: Any) -> str:
    """The text, or nothing where it does not fit and is never sent."""
    try:
        return render(**words)
    except TextTooLong:
        return ""
