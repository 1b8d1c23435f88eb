"""Whether the carrier knows us and every configured sender: what `otp-service doctor` asks it."""

from collections.abc import Iterable, Iterator

from ..domain.policy import Sender, SenderKind
from .answers import Number
from .client import TelnyxClient
from .exceptions import RefusedError, TelnyxError

Line = tuple[str, bool, str]


def examine(client: TelnyxClient, senders: Iterable[Sender]) -> Iterator[Line]:
    """Lines of (what, well, detail): the credentials first, then each sender."""
    try:
        numbers = {number.phone_number or "": number for number in client.list_numbers()}
    except RefusedError as error:
        yield "carrier", False, f"the carrier refuses the key (code {error.code}); check TELNYX_API_KEY"
        return
    except TelnyxError:
        yield "carrier", False, "the carrier does not answer; check TELNYX_BASE_URL and the network"
        return
    yield "carrier", True, "the carrier accepts the key"
    for sender in senders:
        yield f"sender {sender.name}", *_judge(sender, numbers)


def _judge(sender: Sender, numbers: dict[str, Number]) -> tuple[bool, str]:
    profile = sender.messaging_profile_id
    if sender.kind is SenderKind.NUMBER_POOL:
        count = sum(number.messaging_profile_id == profile for number in numbers.values())
        return count > 0, f"{count} numbers in the pool's profile"
    if sender.kind in (SenderKind.ALPHANUMERIC, SenderKind.WHATSAPP):
        return True, "the carrier keeps no list of these; the first send will tell"
    number = numbers.get(sender.address or "")
    if number is None:
        return False, "the carrier's account has no such number"
    if number.messaging_profile_id != profile:
        return False, "the number belongs to another messaging profile than the configuration says"
    return True, "the number is there and in its profile"
