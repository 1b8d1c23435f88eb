"""Whether the carrier knows us and every configured sender, and how the numbers fare: what `doctor` asks it.

A bad figure stands in the line and does not make it fail: the configuration is right, and the operator sees it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..domain.policy import Sender, SenderKind
from .client import TelnyxClient
from .exceptions import RefusedError, TelnyxError
from .gateway import ENOUGH
from .responses import Number

POOR_SUCCESS = 0.85
MUCH_SPAM = 0.05

Line = tuple[str, bool, str]


@dataclass(frozen=True, slots=True)
class _Account:
    """Our numbers at the carrier by number, the mobile ones apart, as the carrier keeps them."""

    numbers: dict[str, Number]
    mobile: dict[str, Number]

    def find(self, address: str | None) -> Number | None:
        return self.numbers.get(address or "") or self.mobile.get(address or "")


def check_senders(client: TelnyxClient, senders: Iterable[Sender], alerts_from: str | None = None) -> Iterator[Line]:
    """Lines of (what, well, detail): the credentials first, then each sender, then who writes to people on call."""
    try:
        account = _Account(
            {number.phone_number: number for number in client.list_numbers()},
            {number.phone_number: number for number in client.list_mobile_numbers()},
        )
    except RefusedError as error:
        yield "carrier", False, f"the carrier refuses the key (code {error.code}); check TELNYX_API_KEY"
        return
    except TelnyxError:
        yield "carrier", False, "the carrier does not answer; check TELNYX_BASE_URL and the network"
        return
    yield "carrier", True, "the carrier accepts the key"
    for sender in senders:
        yield f"sender {sender.name}", *_judge(sender, account)
    if alerts_from is not None:
        yield "alerts", *_judge_alerts(account.find(alerts_from))


def _judge(sender: Sender, account: _Account) -> tuple[bool, str]:
    if sender.kind is SenderKind.NUMBER_POOL:
        return _judge_pool(sender, account)
    if sender.kind is SenderKind.ALPHANUMERIC:
        return True, "the carrier keeps no list of names; the first send will show"
    number = account.find(sender.address)
    if sender.kind is SenderKind.WHATSAPP:
        return _judge_whatsapp(sender, number)
    if number is None:
        return False, "the carrier's account has no such number; see: otp-service numbers list"
    if (number.type == "shortcode") != (sender.kind is SenderKind.SHORT_CODE):
        return False, f"the carrier says that the number is a {number.type}, which no {sender.kind} sender can be"
    if number.messaging_profile_id is None:
        return False, f"the number has no messaging profile; run: otp-service numbers update {number.id} --profile …"
    if number.messaging_profile_id != sender.messaging_profile_id:
        return False, "the number belongs to another messaging profile than the configuration says"
    where = "a mobile number" if number.phone_number in account.mobile else "the number"
    return True, f"{where} is there and in its profile{_fares([number])}"


def _judge_pool(sender: Sender, account: _Account) -> tuple[bool, str]:
    own = [n for n in account.numbers.values() if n.messaging_profile_id == sender.messaging_profile_id]
    usable = [number for number in own if number.type != "shortcode"]
    if not usable:
        return False, "the pool's profile has no numbers; run: otp-service numbers assign --profile …"
    return True, f"{len(usable)} numbers in the pool's profile{_fares(usable)}"


def _judge_whatsapp(sender: Sender, number: Number | None) -> tuple[bool, str]:
    if number is not None and number.messaging_profile_id not in (None, sender.messaging_profile_id):
        return False, "the number belongs to another messaging profile than the configuration says"
    return True, "the carrier keeps no list of WhatsApp senders; the first send will show"


def _judge_alerts(number: Number | None) -> tuple[bool, str]:
    if number is None:
        return False, "alerts.from: the carrier's account has no such number; see: otp-service numbers list"
    if number.messaging_profile_id is None:
        return False, "alerts.from: the number has no messaging profile"
    if not number.mms:
        return False, "alerts.from: the number cannot send MMS, and group messages are MMS"
    return True, "the number is there and can send group messages"


def _fares(numbers: list[Number]) -> str:
    """The figures of those numbers that have sent enough for figures; the bad ones by name."""
    figures_found = []
    for number in numbers:
        health = number.health
        if health is None or (health.message_count or 0) < ENOUGH:
            continue
        success, spam = health.success_ratio, health.spam_ratio
        poor = success is not None and success < POOR_SUCCESS
        spammy = spam is not None and spam > MUCH_SPAM
        if poor or spammy or len(numbers) == 1:
            mark = "WARNING: " if poor or spammy else ""
            figures = f"{_percent(success)} delivered and {_percent(spam)} held as spam"
            figures_found.append(f"{mark}{number.phone_number} has {figures}, of {health.message_count} messages")
    return "; " + "; ".join(figures_found) if figures_found else ""


def _percent(ratio: float | None) -> str:
    return "an unknown share" if ratio is None else f"{ratio:.0%}"
