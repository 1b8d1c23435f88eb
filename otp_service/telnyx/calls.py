"""One call of the carrier's API: its answer as a typed value, or an exception of the tree in `exceptions`.

A list is a lazy generator over all its pages; it raises rather than end early, so that what looks complete is complete.
Nothing here retries. Ids come from outside and are percent-encoded in paths, `+` too.
"""

import logging
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote

from ..domain.delivery import NotSent, Refused, Unknown
from . import errors, json
from .exceptions import NotFoundError, NotSentError, RefusedError, UnknownOutcomeError
from .responses import PageMeta
from .transport import Answer, Transport

LARGEST_PAGE = 250
_log = logging.getLogger("otp.carrier")

T = TypeVar("T")
Reader = Callable[[object], T | None]
"""Makes a typed value of decoded JSON; None if it is not one."""


class Calls:
    """Calls over one transport. What is about another message than was asked for closes the connection it came on."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _get(self, path: str, read: Reader[T]) -> T:
        return typed(read, data(success(self._transport.request("GET", path))))

    def _list(self, path: str, read: Reader[T], filters: dict[str, str | None], page_size: int) -> Iterator[T]:
        if not 1 <= page_size <= LARGEST_PAGE:
            raise ValueError(f"A page has 1 to {LARGEST_PAGE} entries.")
        params = {name: value for name, value in filters.items() if value is not None}
        return self._pages(path, read, params | {"page[size]": str(page_size)})

    def _pages(self, path: str, read: Reader[T], params: dict[str, str]) -> Iterator[T]:
        entries, meta = self._page(path, read, params, 1)
        # Where the first page already calls itself another one, as in a static mock, the numbers mean nothing.
        numbered = meta.page_number == 1
        yield from entries
        for page in count(2):
            if page > meta.total_pages:
                return
            before = entries
            entries, meta = self._page(path, read, params, page)
            # A list that silently ends early would pass for complete, and one that repeats a page for endless.
            if numbered and meta.page_number != page:
                raise UnknownOutcomeError("a page that cannot be placed")
            if not numbered and entries == before:
                return
            yield from entries

    def _page(self, path: str, read: Reader[T], params: dict[str, str], page: int) -> tuple[list[T], PageMeta]:
        answer = self._transport.request("GET", path, params=params | {"page[number]": str(page)})
        document = json.mapping(success(answer))
        entries, meta = document.get("data"), PageMeta.read(document.get("meta"))
        if not isinstance(entries, list) or meta is None:
            raise UnknownOutcomeError("a page that cannot be placed")
        return [typed(read, entry) for entry in entries], meta

    def _require(self, believed: bool, reason: str) -> None:
        if not believed:
            _log.error("the carrier answered about another message")
            self._transport.hang_up()
            raise UnknownOutcomeError(reason)


def success(answer: Answer) -> object:
    """The decoded body of a success; raises what anything else means."""
    if answer.succeeded:
        if answer.document is None:
            raise UnknownOutcomeError(f"HTTP {answer.status} without JSON")
        return answer.document
    outcome = errors.classify(answer.status, answer.document, answer.headers)
    if isinstance(outcome, NotSent):
        raise NotSentError(outcome.reason, outcome.retry_after_s)
    if isinstance(outcome, Unknown):
        raise UnknownOutcomeError(outcome.reason)
    raise _refused(outcome, answer.status)


def _refused(outcome: Refused, status: int) -> RefusedError:
    kind = NotFoundError if status == 404 or outcome.code in errors.NOT_FOUND else RefusedError
    return kind(outcome.code, outcome.title, status, outcome.action, opted_out=outcome.opted_out)


def data(document: object) -> Any:
    """The `data` member of an answer; None if there is none."""
    return json.mapping(document).get("data")


def typed(read: Reader[T], value: object) -> T:
    """What `read` makes of the value. Raises UnknownOutcomeError if it makes nothing of it."""
    found = read(value)
    if found is None:
        raise UnknownOutcomeError("an answer without what was asked for")
    return found


def segment(identifier: str) -> str:
    """One path segment. Dots are refused: `..` would be resolved away and ask for something else."""
    if identifier.strip(".") == "":
        raise ValueError("An id for the carrier must not be empty.")
    return quote(identifier, safe="")
