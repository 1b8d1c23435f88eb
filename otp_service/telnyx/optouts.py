"""The carrier's list of opt-outs: who must not be sent to, by messaging profile."""

from collections.abc import Iterator
from datetime import datetime

from . import requests
from .calls import LARGEST_PAGE, Calls
from .responses import OptOut, PageMeta

_OPT_OUTS = "/messaging_optouts"


class OptOuts(Calls):
    """The operations that list opt-outs."""

    def list_opt_outs(
        self,
        *,
        messaging_profile_id: str | None = None,
        sender: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        redacted: bool = False,
        page_size: int = LARGEST_PAGE,
    ) -> Iterator[OptOut]:
        """Every block, or those of a profile, a sender of ours, a time (bounds included; they need a zone).

        `redacted` has the carrier mask the persons' numbers.
        """
        filters = {
            "filter[messaging_profile_id]": messaging_profile_id,
            "filter[from]": sender,
            "created_at[gte]": requests.instant(since) if since else None,
            "created_at[lte]": requests.instant(until) if until else None,
            "redaction_enabled": "true" if redacted else None,
        }
        return self._list(_OPT_OUTS, OptOut.read, filters, page_size)

    def opt_out_page(
        self, page: int, *, messaging_profile_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[list[OptOut], PageMeta]:
        """One page of a profile's blocks, of the largest size: for who must be able to go on where they stopped.

        Whether it is the page that was asked for, `page_number` says.
        """
        params = {"filter[messaging_profile_id]": messaging_profile_id, "page[size]": str(LARGEST_PAGE)}
        if since is not None:
            params["created_at[gte]"] = requests.instant(since)
        if until is not None:
            params["created_at[lte]"] = requests.instant(until)
        return self._page(_OPT_OUTS, OptOut.read, params, page)
