"""Why a message was sent, not sent, or given to the next sender."""

from collections.abc import Sequence

from ..delivery import MARGIN_MS, DeliveryStatus
from ..failover import Blamed, blamed
from ..policy import Channel, NumberLimits, Sender
from ..prices import SPEND_LIMIT
from .courses import Course, Delivery
from .history import History
from .record import Explanation, Happened, RefusalOf, Step, checked, taken
from .starting import spent

CLOSE_MS = 30_000
"""So long after the code's end a delivery stays open for a report. The scripts have the same number."""


def explain_queued(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """Which sender was chosen. In which order the route was tried then is taken as recorded."""
    course, name = history.course(event), str(event.detail.get("sender"))
    before = _failed_before(event, course)
    sender = next((one for one in history.route_of(event, course) if one.name == name), None)
    steps = [
        checked(f"sender {name}", "it is on the route of the app", holds=sender is not None),
        checked(f"sender {name}", "the person has not opted out of it", holds=_is_open(sender, history)),
        taken("the order of the route", "breakers, health, and who reached the person the last time"),
    ]
    if before is None and sender is not None:
        steps.append(checked(f"sender {name}", "it serves the channel", holds=_serves(sender, course)))
    if before is not None:
        tried = {one.sender for one in course.deliveries.values() if one.send == before.send}
        steps.append(checked(f"sender {name}", "it was not tried for this send", holds=name not in tried))
    outcome = f"queued for {name}"
    return Explanation(outcome, outcome if all(one.holds for one in steps) else "another sender", tuple(steps))


def _failed_before(event: Happened, course: Course) -> Delivery | None:
    """The delivery that this one follows."""
    for one in course.deliveries.values():
        if one.last is not None and one.last.detail.get("to") == event.delivery:
            return one
    return None


def _serves(sender: Sender, course: Course) -> bool:
    return not course.channel or sender.channel is Channel(course.channel) or course.sends > 1


def _is_open(sender: Sender | None, history: History) -> bool:
    return sender is None or sender.messaging_profile_id not in history.opted_out


def explain_try(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """A request to the carrier: every rule that would have stopped it."""
    course = history.course(event)
    delivery = course.deliveries[event.ordinal]
    steps = (
        checked("the verification", "it is pending", holds=course.status == "pending"),
        checked(
            f"its code ends at {course.expires_ms}",
            f"{MARGIN_MS} ms are left",
            holds=event.at_ms + MARGIN_MS < course.expires_ms,
        ),
        checked("the next sender", "it does not have it yet", holds=not delivery.followed),
        checked(
            f"send {delivery.send} of {course.sends}", "no newer one is queued", holds=delivery.send >= course.sends
        ),
        checked("another sender of this send", "it has not delivered it", holds=not _has_arrived(course, delivery)),
        checked(
            "opt-outs of the number", "the profile is not among them", holds=not _stopped(event, history, delivery)
        ),
        checked("wrong codes of the number", "their budget has room", holds=spent(history, event, everywhere) is None),
    )
    return _told(f"try {delivery.tries + 1}", f"try {event.detail.get('try')}", steps)


def _has_arrived(course: Course, delivery: Delivery) -> bool:
    others = [one for one in course.deliveries.values() if one is not delivery and one.send == delivery.send]
    return any(one.status is DeliveryStatus.DELIVERED for one in others)


def _stopped(event: Happened, history: History, delivery: Delivery) -> bool:
    sender = history.senders_of(event).get(delivery.sender)
    return sender is not None and sender.messaging_profile_id in history.opted_out


def explain_suppressed(event: Happened, history: History, everywhere: NumberLimits) -> Explanation:
    """Nothing was sent, for a reason that the store found before the request."""
    course = history.course(event)
    delivery, reason = course.deliveries[event.ordinal], str(event.detail.get("reason") or "")
    if not reason:
        step = taken(f"the carrier's answer {event.detail.get('code')}", "the person is on its list of opt-outs")
        return _told("suppressed", "suppressed", (step,))
    found = {
        "test_number": course.test,
        f"verification_{course.status}": course.status != "pending",
        "replaced": delivery.send < course.sends,
        "already_delivered": _has_arrived(course, delivery),
        "opted_out": _stopped(event, history, delivery),
        "too_many_wrong_codes": spent(history, event, everywhere) is not None,
        # What the whole app had spent then is not known here.
        SPEND_LIMIT: reason == SPEND_LIMIT and history.app_of(event).spend_limit is not None,
    }
    steps = (
        checked(reason, "it stands in the way", holds=found.get(reason, False)),
        checked("earlier tries", "none can have reached the carrier", holds=not delivery.may_be_sent),
    )
    first = next((name for name, holds in found.items() if holds), "sent")
    return _told(f"suppressed: {first}", f"suppressed: {reason}", steps)


def explain_late(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """The code ran out before anything was sent."""
    course = history.course(event)
    delivery = course.deliveries[event.ordinal]
    over = event.at_ms + MARGIN_MS >= course.expires_ms or course.status == "expired"
    rule = f"less than {MARGIN_MS} ms are left, or the store was restarted"
    steps = (
        checked(
            f"its code ends at {course.expires_ms}",
            rule,
            holds=over or history.was_restarted(course, event.at_ms),
        ),
        checked("earlier tries", "none can have reached the carrier", holds=not delivery.may_be_sent),
    )
    return _told("expired", "expired", steps)


def explain_unconfirmed(event: Happened, history: History, _: NumberLimits) -> Explanation:
    """No report came in time, or the carrier says that none will."""
    course = history.course(event)
    delivery, reason = course.deliveries[event.ordinal], event.detail.get("reason")
    if reason is None:
        return _told("unconfirmed", "unconfirmed", (taken("the carrier's report", "it has no confirmation"),))
    over = event.at_ms >= course.expires_ms + CLOSE_MS
    facts = {"no_receipt": delivery.status is DeliveryStatus.SENT, "answer_lost": delivery.may_be_sent}
    steps = (
        checked(f"its code ended at {course.expires_ms}", f"reports are awaited for {CLOSE_MS} ms more", holds=over),
        checked(str(reason), "it is so", holds=facts.get(str(reason), False)),
    )
    return _told("unconfirmed", "unconfirmed", steps)


def explain_failure(event: Happened, history: History, refusal_of: RefusalOf) -> Explanation:
    """The carrier refused it or could not deliver it, or we could not send it. What follows is `fell_back`."""
    code, in_report = str(event.detail.get("code") or ""), "carrier_status" in event.detail
    rule = f"blames: {_blamed(event, refusal_of) or 'nobody whom another sender could replace'}"
    fact = f"the carrier's {'report' if in_report else 'answer'} {code}".rstrip()
    delivery = history.course(event).deliveries[event.ordinal]
    steps: tuple[Step, ...] = (taken(fact, rule),)
    if not in_report:
        steps += (checked("the delivery", "no report was faster", holds=not delivery.accepted),)
    return _told("failed", "failed", steps)


def explain_failover(event: Happened, history: History, refusal_of: RefusalOf) -> Explanation:
    """The next sender has it: why, and that one was left."""
    course = history.course(event)
    delivery = course.deliveries[event.ordinal]
    steps = (
        checked("the verification", "it is pending", holds=course.is_pending(event.at_ms)),
        checked("the delivery", "no other one follows it yet", holds=not delivery.followed),
        checked(
            f"send {delivery.send} of {course.sends}", "no newer one is queued", holds=delivery.send == course.sends
        ),
        _occasion(event, history, delivery, refusal_of),
        checked("the route", "another sender is left", holds=bool(_left(event, history, course, delivery, refusal_of))),
    )
    return _told("the next sender", "the next sender", steps)


def _occasion(event: Happened, history: History, delivery: Delivery, refusal_of: RefusalOf) -> Step:
    reason, course = str(event.detail.get("reason")), history.course(event)
    if delivery.last is not None and delivery.last.type == "delivery.failed" and reason != "not_sent_in_time":
        helps = _blamed(delivery.last, refusal_of) is not Blamed.NOBODY_HELPS
        return checked(f"the refusal {reason}", "another sender may get through", holds=helps)
    match reason:
        case "not_sent_in_time":
            late = event.at_ms >= delivery.queued_ms + history.app_of(event, course.app).sent_within_ms
            return checked("the time in which it should be sent", "it is over, and nothing was sent", holds=late)
        case "answer_lost":
            return checked("the carrier's answer", "a try's is lost", holds=delivery.may_be_sent)
        case "opted_out":
            return checked(
                "opt-outs of the number", "the profile is among them", holds=_stopped(event, history, delivery)
            )
        case "carrier_queue":
            held = event.at_ms + delivery.held_ms >= course.expires_ms
            return (
                checked("the carrier's queue", "it held it for too long", holds=True)
                if held
                else taken("the carrier's queue", "the carrier was asked, and still held it")
            )
    return taken(f"the sender: {reason}", "it may not send now, and a better one is left")


def _left(
    event: Happened, history: History, course: Course, delivery: Delivery, refusal_of: RefusalOf
) -> Sequence[Sender]:
    """The senders of the route that can have been left, at most: what order it had is not on record."""
    senders, tried = (
        history.senders_of(event),
        {one.sender for one in course.deliveries.values() if one.send == delivery.send},
    )
    own, failed = senders.get(delivery.sender), delivery.last
    blame = _blamed(failed, refusal_of) if failed is not None and failed.type == "delivery.failed" else Blamed.SENDER
    route = history.route_of(event, course)
    return [one for one in route if one.name not in tried and _is_open(one, history) and _differs(one, own, blame)]


def _differs(one: Sender, own: Sender | None, blame: Blamed) -> bool:
    if own is None or blame not in (Blamed.PROFILE, Blamed.CHANNEL):
        return True
    if blame is Blamed.PROFILE:
        return one.messaging_profile_id != own.messaging_profile_id
    return one.channel is not own.channel


def _blamed(failed: Happened, refusal_of: RefusalOf) -> Blamed:
    detail = failed.detail
    code = str(detail.get("code") or "")
    return blamed(refusal_of(code, str(detail.get("title") or ""), "carrier_status" in detail) if code else None)


def _told(recomputed: str, recorded: str, steps: tuple[Step, ...]) -> Explanation:
    return Explanation(recorded, recomputed if all(one.holds for one in steps) else "not so", steps)
