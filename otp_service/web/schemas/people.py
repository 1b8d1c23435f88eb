"""What stands against a person, for those who support them. Times are RFC 3339 UTC, durations whole seconds."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ...clock import rfc3339
from ...domain.delivery import DeliveryStatus
from ...domain.person import Budget
from ...domain.prices import SPEND_LIMIT
from ...domain.view import VerificationView, whole_seconds
from ...usecases.guard.standing import GuardStanding
from ...usecases.support import Person, Standing
from .forms import Request
from .optouts import ProfileOptOut, profile_optout
from .values import Count, DeliveryStatusWord, MaskedNumber, ProblemCode, Seconds, Time, VerificationStatus
from .verification import CarrierError

_OF_ALL = (
    "Over all apps; counts this app's own part where a key of the app asks, and is null where that is not known apart."
)
_LIFT = "What takes it away: a lift of the lock or of the opt-outs. Null where it counts more than this number."
_STATE = (
    "`off`: the guard leaves the number alone. `safe_list`: so does the safe list. `known`: approved within 90 days. "
    "`passed`: a lift or an earlier count lets its next send pass. `counted`: sends to it fill budgets. `unknown`: so "
    "will the next one."
)


_NOT_KNOWN = "Null where it is not known: the part of the store that holds the app's budgets does not answer."


class LimitState(msgspec.Struct):
    """One limit as it stands."""

    name: Annotated[str, Meta(description="As in the configuration; `service.…` are over all apps.")]
    limit: Count
    per: Seconds
    used: Annotated[int | None, Meta(description=_OF_ALL)]
    mode: Annotated[Literal["enforce", "monitor"], Meta(description="With `monitor` it refuses nothing.")]
    retry_after: Annotated[Seconds | None, Meta(description="Null if it refuses nothing now.")]
    purpose: Annotated[str | None, Meta(description="Of a ladder.")]


class PersonBlock(msgspec.Struct):
    """One thing that refuses a start or a check now."""

    code: ProblemCode
    app: str
    purpose: str | None
    limit: str | None
    messaging_profile_id: str | None
    retry_after: Seconds | None
    lift: Annotated[Literal["lock", "optout"] | None, Meta(description=_LIFT)]


class LastDelivery(msgspec.Struct):
    """A message of one of the latest verifications."""

    delivery_id: str
    sender: str
    status: DeliveryStatusWord
    error: CarrierError | None
    queued_at: Time
    updated_at: Time


class LatestVerification(msgspec.Struct):
    """The latest verification of one purpose."""

    verification_id: str
    purpose: str
    status: VerificationStatus
    created_at: Time
    checks_left: Count
    deliveries: list[LastDelivery]


class GuardBlock(msgspec.Struct):
    """A block of numbers that this one is in: sends that nobody approved yet, and how many it holds if it is cold."""

    name: Annotated[str, Meta(description="`block_1k` or `block_10k`: so many numbers.")]
    used: float
    limit: float


class GuardOfPerson(msgspec.Struct):
    """How the guard against SMS pumping sees the number, for a caller who says neither `client_ip` nor `known_user`.

    An end user's address may refuse beside that, and a user whom the app knows may pass where others are refused.
    """

    state: Annotated[Literal["off", "safe_list", "known", "passed", "counted", "unknown"], Meta(description=_STATE)]
    known_until: Time | None
    blocks: list[GuardBlock]
    refused_by: Annotated[str | None, Meta(description="The budget that refuses the next start.")]


class PersonInApp(msgspec.Struct):
    """What one app knows of the person."""

    app: str
    optouts: list[ProfileOptOut]
    limits: list[LimitState]
    guard: Annotated[GuardOfPerson | None, Meta(description=_NOT_KNOWN)]
    verifications: list[LatestVerification]


class PersonStanding(msgspec.Struct):
    """What stands against a person: `blocks` is what refuses now, the rest is what it follows from."""

    to: MaskedNumber
    at: Time
    blocks: list[PersonBlock]
    apps: list[PersonInApp]


class LiftRequest(Request):
    """What to take away, and why. The reason is put on record."""

    what: Literal["lock", "optout"]
    reason: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": 200}, examples=["Ticket 4711"])]


class Lifted(msgspec.Struct):
    """What stood: limits of a lock, messaging profiles of opt-outs; empty if nothing did."""

    lifted: list[str]


def person_standing(person: Person) -> PersonStanding:
    """The answer of GET /people/{number}."""
    blocks = [block for one in person.standing for block in _blocks(one)]
    return PersonStanding(person.mask, rfc3339(person.at_ms), blocks, [_in_app(one) for one in person.standing])


def _blocks(one: Standing) -> Iterator[PersonBlock]:
    for entry in one.optouts:
        if entry.opted_out:
            yield PersonBlock("opted_out", one.app, None, None, entry.messaging_profile_id, None, "optout")
    for budget in one.budgets:
        if budget.wait_ms:
            wait = whole_seconds(budget.wait_ms)
            lift: Literal["lock"] | None = "lock" if budget.is_own else None
            yield PersonBlock(budget.code, one.app, budget.purpose, budget.name, None, wait, lift)
    if one.guard is not None and one.guard.refused_by is not None:
        yield PersonBlock("guard_refused", one.app, None, one.guard.refused_by, None, None, "lock")
    if one.spend_wait_ms is None:
        # Nobody knows what the app has spent, so a start is answered with this, too.
        yield PersonBlock("store_unavailable", one.app, None, SPEND_LIMIT, None, None, None)
    elif one.spend_wait_ms:
        wait = whole_seconds(one.spend_wait_ms)
        yield PersonBlock("guard_refused", one.app, None, SPEND_LIMIT, None, wait, None)


def _in_app(one: Standing) -> PersonInApp:
    return PersonInApp(
        one.app,
        [profile_optout(entry) for entry in one.optouts],
        [_limit(budget) for budget in one.budgets],
        None if one.guard is None else _guard(one.guard),
        [_verification(view) for view in one.latest],
    )


def _limit(budget: Budget) -> LimitState:
    wait = whole_seconds(budget.wait_ms) if budget.wait_ms else None
    mode: Literal["enforce", "monitor"] = "monitor" if budget.is_monitored else "enforce"
    return LimitState(budget.name, budget.limit, budget.per_ms // 1000, budget.used, mode, wait, budget.purpose)


def _guard(seen: GuardStanding) -> GuardOfPerson:
    return GuardOfPerson(
        seen.state.value,
        rfc3339(seen.known_until_ms, "seconds") if seen.known_until_ms else None,
        [GuardBlock(name, level, most) for name, (level, most) in seen.blocks.items()],
        seen.refused_by,
    )


def _verification(view: VerificationView) -> LatestVerification:
    ref = view.reference
    return LatestVerification(
        ref.verification_id,
        view.purpose,
        view.status,
        rfc3339(view.created_ms),
        view.checks_left,
        list(_deliveries(view, ref.delivery_id(1)[:-1])),
    )


def _deliveries(view: VerificationView, stem: str) -> Iterable[LastDelivery]:
    for one in view.deliveries:
        error = CarrierError(*one.error) if one.error else None
        status: DeliveryStatus = one.status
        yield LastDelivery(
            f"{stem}{one.ordinal}", one.sender, status, error, rfc3339(one.queued_ms), rfc3339(one.updated_ms)
        )
