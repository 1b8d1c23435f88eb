"""Honest days: what people do who want nothing but to log in, as the steps of one day with one telephone.

A step is `seconds after the one before`, a verb, and what it is about (`login` of the shop where nothing is said,
`pay`, `bank/login`). The verbs: `start` (a resend where one is pending), `wrong` and `right` codes, `cancel`,
`unsent` (the carrier refuses the last message for good).
"""

from collections.abc import Mapping, Sequence

_LOGIN = ("0 start", "20 right")


def _times(count: int, seconds: int, *steps: str) -> tuple[str, ...]:
    """The steps so many times, with so much time between."""
    return steps + tuple(step for _ in range(count - 1) for step in (f"{seconds} nothing", *steps))


DAYS: Mapping[str, Sequence[str]] = {
    "one login": _LOGIN,
    "morning, noon and night": _times(3, 18_000, *_LOGIN),
    "typing mistakes": ("0 start", "20 wrong", "5 wrong", "5 wrong", "5 wrong", "5 right"),
    "five mistakes, then a new code": ("0 start", *["10 wrong"] * 5, "5 start", "20 right"),
    "mistakes in two codes": ("0 start", *["10 wrong"] * 5, "5 start", *["20 wrong"] * 4, "5 right"),
    "one lost SMS": ("0 start", "30 start", "15 right"),
    "three lost SMS": ("0 start", "30 start", "60 start", "120 start", "10 right"),
    "lost SMS and mistakes": ("0 start", "40 start", "10 wrong", "10 wrong", "45 start", "10 right"),
    "the code expired": ("0 start", "320 start", "15 right"),
    "the telephone was off": ("0 start", "400 start", "28800 start", "10 right"),
    "back and forth in the form": ("0 start", "5 cancel", "30 start", "5 cancel", "60 start", "15 right"),
    "the second device at once": ("0 start", "15 right", "5 start", "15 right"),
    "two devices in parallel": ("0 start", "31 start", "10 right", "5 start", "10 right"),
    "a login and a payment": ("0 start", "15 right", "30 start pay", "15 right pay"),
    "six payments in an hour": (*_LOGIN, *_times(6, 400, "0 start pay", "20 right pay")),
    "two apps in one minute": ("0 start", "0 start bank/login", "15 right", "15 right bank/login"),
    "the carrier refuses four times": (*_times(4, 1, "0 start", "1 unsent", "1 cancel"), *_LOGIN),
    "a password is reset": ("0 start", *["10 wrong"] * 3, "5 cancel", "30 start reset", "15 right reset", "5 start"),
    "a family's telephone": _times(7, 45, *_LOGIN),
    "a family that also mistypes": _times(4, 60, "0 start", "15 wrong", "10 right"),
    "a call centre's telephone": (*_times(9, 30, *_LOGIN), "14400 nothing", *_times(9, 30, *_LOGIN)),
    "every forty minutes": _times(18, 2_400, *_LOGIN),
}
"""Each with the default settings; no start may be refused, and no right code."""
