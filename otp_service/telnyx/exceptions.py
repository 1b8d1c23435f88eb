"""What the carrier's operations raise, by what the caller would do about it.

* TelnyxError
  * NotSentError          nothing reached the carrier, or it asked us to come back: the same again is safe
  * RefusedError          the carrier refused
    * NotFoundError       there is no such thing, or no longer (messages can be asked for during ten days)
  * UnknownOutcomeError   the answer was lost or unreadable: a write may have happened, a read may be repeated

No text of the carrier's answer but its error code and cleaned title stands in a message, and no phone number.
`TelnyxClient.send` raises none of these: its outcomes are values.
"""

from ..domain.delivery import Action, Refused


class TelnyxError(Exception):
    """Base of everything that an operation raises about the carrier or the way to it."""


class NotSentError(TelnyxError):
    """Certainly nothing happened. `reason` is a few words, `retry_after_s` seconds if the carrier named them."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"Nothing reached the carrier: {reason}.")
        self.reason = reason
        self.retry_after_s = retry_after_s


class RefusedError(TelnyxError):
    """The carrier refused. `code` and `title` are its own, `status` is HTTP's, `action` is what to do about it."""

    def __init__(self, code: str, title: str, status: int, action: Action, *, opted_out: bool = False) -> None:
        super().__init__(f"The carrier refused: {title} ({code}, HTTP {status}).")
        self.code = code
        self.title = title
        self.status = status
        self.action = action
        self.opted_out = opted_out

    @property
    def refusal(self) -> Refused:
        """The same as a value, for those who keep outcomes."""
        return Refused(self.code, self.title, self.action, self.opted_out)


class NotFoundError(RefusedError):
    """What was asked for does not exist, or is too old to be shown."""


class UnknownOutcomeError(TelnyxError):
    """Nobody knows what happened. `reason` is a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The carrier's answer is lost or unreadable: {reason}.")
        self.reason = reason
