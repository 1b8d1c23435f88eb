"""The API of one process with an event loop."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask

from .. import greenlets
from ..config import Settings
from ..domain.fleet import API
from ..front.admission import Admission
from ..front.plain import Endpoints
from ..front.refusals import Refusals
from ..keyring_reload import ReloadedKeyring
from ..storage.pipelined.store import pipelined
from ..storage.scripts import Scripts
from ..storage.store import Store
from ..web.auth import bearer
from ..web.endpoint import Endpoint
from ..web.http import Reply
from ..web.routes.all_routes import Backend, loop_routes
from .background import read_in_background
from .chance import SYSTEM, Chance
from .fleet import Announcer
from .guesses import guess_watch
from .required import require_for_web
from .risk import risk_receivers
from .signed_log import published
from .stores import open_keyring, open_stores, parts_over
from .texts import tell_text_sizes
from .web import WebParts, flask_app, open_consumer, open_readiness


@dataclass(frozen=True, slots=True)
class Front:
    """What the loop answers itself, and the Flask app for the rest."""

    flask: Flask
    endpoints: Endpoints
    refusals: Refusals
    app_of: Callable[[str], str | None]
    """The app of the key in an Authorization header, if that is known without asking the store."""

    keyring: ReloadedKeyring
    """To be looked at often, outside of the loop."""

    ending: threading.Event
    """Whether the process was told to end."""

    begin_end: Callable[[], None]
    """Sets `ending` and answers all requests that wait for news. Call it in the loop, when the process is to end."""

    metrics: Callable[[], bytes]
    """All metrics in text. Call it in a thread: it asks the store."""

    published: Callable[[str], Reply | None]
    """What is shown of the audit log without a key, by its path. Call it in a thread."""

    close: Callable[[], None]
    """Ends the loop's connections to the store. Call it in the loop, before that ends."""


def build_front(
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    *,
    chance: Chance = SYSTEM,
    make_scripts: Callable[[Store], Scripts] = Scripts,
) -> Front:
    """The API for this event loop."""
    require_for_web(settings)
    tell_text_sizes(settings.policy)
    keyring = open_keyring(settings)
    keyring.follow(partial(greenlets.off_loop, loop))
    stores = open_stores(settings, keyring, make_scripts)
    open_consumer(settings, stores)
    ending, loop_ending = threading.Event(), greenlets.Event(loop)
    ready = open_readiness(stores, keyring, ending.is_set)
    ready.now()
    risk = risk_receivers(settings, lambda threads, work: greenlets.off_loop(loop, work, threads))
    guesses = guess_watch(settings, stores)
    flask_parts = WebParts(settings, stores, keyring, chance, ready.last, risk=risk, guesses=guesses)
    flask = flask_app(flask_parts, flask_parts.watch(ending.wait))
    announcer = Announcer(settings, stores, keyring, API, flask_parts.webhook_facts)
    also = (guesses.count, announcer.announce_if_due, flask_parts.guard.in_background)
    reading = read_in_background(stores, settings.policy, *also, api_keys=True)
    looped = parts_over(pipelined(loop, stores.store), stores.keys, make_scripts, stores.known)
    parts = WebParts(settings, looped, keyring, chance, ready.last, risk=risk, guesses=guesses)
    backend = parts.backend(parts.loop_watch(loop, loop_ending.wait))
    endpoints, refusals = _endpoints(backend, parts.request_id), Refusals(backend.problems, parts.request_id)
    threading.Thread(target=ready.keep_fresh, args=(ending.wait,), name="readiness", daemon=True).start()

    def app_of(authorization: str) -> str | None:
        return looped.api_keys.known_app(bearer({"authorization": authorization}) or "")

    def begin_end() -> None:
        ending.set()
        loop_ending.set()

    def close() -> None:
        reading.stop()
        announcer.forget()
        looped.store.client.close()
        risk.close()

    reading.start()
    return Front(
        flask,
        endpoints,
        refusals,
        app_of,
        keyring,
        ending,
        begin_end,
        flask_parts.metrics_text,
        published(settings),
        close,
    )


def _endpoints(backend: Backend, request_id: Callable[[], str]) -> Endpoints:
    make = partial(
        Endpoint,
        auth=backend.auth,
        problems=backend.problems,
        new_request_id=request_id,
        admission=Admission(),
    )
    return Endpoints(make(route) for route in loop_routes(backend))
