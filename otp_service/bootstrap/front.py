"""The API of one process with an event loop."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask

from .. import greenlets
from ..config import Settings
from ..front.plain import Endpoints
from ..keyring_reload import ReloadedKeyring
from ..storage.pipelined.store import pipelined
from ..storage.scripts import Scripts
from ..storage.store import Store
from ..usecases.watch import Watch
from ..web.endpoint import Endpoint
from ..web.limits import WORKING, LoopLimits
from ..web.routes.all_routes import loop_routes
from .background import read_in_background
from .chance import SYSTEM, Chance
from .required import require_for_web
from .stores import open_keyring, open_stores, parts_over
from .web import WebParts, flask_app, open_consumer


@dataclass(frozen=True, slots=True)
class Front:
    """What the loop answers itself, and the Flask app for the rest."""

    flask: Flask
    endpoints: Endpoints
    keyring: ReloadedKeyring
    """To be looked at often, outside of the loop."""

    ending: threading.Event
    """Whether the process was told to end."""

    begin_end: Callable[[], None]
    """Sets `ending` and answers all requests that wait for news. Call it in the loop, when the process is to end."""

    close: Callable[[], None]
    """Ends the loop's connections to the store. Call it in the loop, before that ends."""


def build_front(
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    *,
    working: int = WORKING,
    chance: Chance = SYSTEM,
    make_scripts: Callable[[Store], Scripts] = Scripts,
) -> Front:
    """The API for this event loop. `working` is the number of requests that Flask works on at once."""
    require_for_web(settings)
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring, make_scripts)
    open_consumer(settings, stores)
    ending, loop_ending = threading.Event(), greenlets.Event(loop)
    flask = flask_app(WebParts(settings, stores, keyring, chance, ending.is_set), working, ending.wait)
    reading = read_in_background(stores, settings.policy, api_keys=True)
    looped = parts_over(pipelined(loop, stores.store), stores.keys, make_scripts, stores.known)
    parts = WebParts(settings, looped, keyring, chance, ending.is_set)
    endpoints = _endpoints(parts, parts.loop_watch(loop, loop_ending.wait))

    def begin_end() -> None:
        ending.set()
        loop_ending.set()

    def close() -> None:
        reading.stop()
        looped.store.client.close()

    reading.start()
    return Front(flask, endpoints, keyring, ending, begin_end, close)


def _endpoints(parts: WebParts, watch: Watch) -> Endpoints:
    backend, limits = parts.backend(watch), LoopLimits()
    make = partial(
        Endpoint,
        auth=backend.auth,
        problems=backend.problems,
        new_request_id=parts.request_id,
        threads=limits,
    )
    return Endpoints(make(route) for route in loop_routes(backend))
