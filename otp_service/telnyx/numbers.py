"""Our own numbers at the carrier and their messaging settings."""

from collections.abc import Iterator, Sequence

from . import requests
from .calls import LARGEST_PAGE, Calls, data, segment, success, typed
from .responses import BulkUpdate, Number

_BULK = "/messaging_numbers_bulk_updates"


class Numbers(Calls):
    """The operations that list, show and change numbers."""

    def list_numbers(
        self,
        *,
        messaging_profile_id: str | None = None,
        phone_numbers: Sequence[str] = (),
        containing: str | None = None,
        type: str | None = None,  # noqa: A002 - the name of the carrier's field
        sort: str | None = None,
        page_size: int = LARGEST_PAGE,
    ) -> Iterator[Number]:
        """Our numbers with their messaging settings.

        `phone_numbers` asks for exactly these, `containing` for a part of one, `type` is `tollfree`, `longcode` or
        `shortcode`, `sort` is `asc` or `desc` by number.
        """
        filters = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[phone_number]": ",".join(phone_numbers) or None,
            "filter[phone_number][contains]": containing,
            "filter[type]": type,
            "sort[phone_number]": sort,
        }
        return self._list("/phone_numbers/messaging", Number.read, filters, page_size)

    def show_number(self, number_id: str) -> Number:
        """One number by the carrier's id (or in E.164)."""
        return self._get(f"/phone_numbers/{segment(number_id)}/messaging", Number.read)

    def update_number(
        self,
        number_id: str,
        *,
        messaging_profile_id: str | None = None,
        messaging_product: str | None = None,
        tags: Sequence[str] | None = None,
    ) -> Number:
        """Change a number's settings. None keeps one as it is; an empty profile takes the number out of its own."""
        body = requests.encode(
            {
                "messaging_profile_id": messaging_profile_id,
                "messaging_product": messaging_product,
                "tags": None if tags is None else list(tags),
            }
        )
        answer = self._transport.request("PATCH", f"/phone_numbers/{segment(number_id)}/messaging", body=body)
        return typed(Number.read, data(success(answer)))

    def list_mobile_numbers(self, *, page_size: int = LARGEST_PAGE) -> Iterator[Number]:
        """Our mobile numbers with their messaging settings."""
        return self._list("/mobile_phone_numbers/messaging", Number.read, {}, page_size)

    def show_mobile_number(self, number_id: str) -> Number:
        """One mobile number by the carrier's id (or in E.164)."""
        return self._get(f"/mobile_phone_numbers/{segment(number_id)}/messaging", Number.read)

    def create_bulk_update(
        self, *, messaging_profile_id: str, numbers: Sequence[str], assign_only: bool = False
    ) -> BulkUpdate:
        """Order that `numbers` (E.164) be put into a profile; an empty profile takes them out of theirs.

        `assign_only` leaves their other settings alone. The order is carried out over time: `show_bulk_update`.
        """
        body = requests.encode(
            {
                "messaging_profile_id": messaging_profile_id,
                "numbers": list(numbers),
                "assign_only": assign_only or None,
            }
        )
        return typed(BulkUpdate.read, data(success(self._transport.request("POST", _BULK, body=body))))

    def show_bulk_update(self, order_id: str) -> BulkUpdate:
        """How far an order has come."""
        return self._get(f"{_BULK}/{segment(order_id)}", BulkUpdate.read)
