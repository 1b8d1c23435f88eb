"""The API of one process with an event loop."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from ..config import Settings
from ..front.plain import Endpoints
from ..keyring_file import KeyringFile
from ..storage.pipelined.store import pipelined
from ..storage.scripts import Scripts
from ..storage.store import Store
from ..web.endpoint import Endpoint
from ..web.limits import WORKING, LoopLimits, Threads
from ..web.routes.all_routes import loop_routes
from .chance import SYSTEM, Chance
from .required import require_for_web
from .stores import Stores, open_keyring, open_stores, parts_over
from .web import Pause, WebParts, flask_app, open_consumer


@dataclass(frozen=True, slots=True)
class Front:
    """What the loop answers itself, and the Flask app for the rest."""

    flask: Flask
    endpoints: Endpoints
    keyring: KeyringFile
    """To be looked at often, outside of the loop."""

    close: Callable[[], None]
    """Ends the loop's connections to the store. Call it in the loop, before that ends."""


def build_front(
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    *,
    working: int = WORKING,
    pause: Pause | None = None,
    chance: Chance = SYSTEM,
    make_scripts: Callable[[Store], Scripts] = Scripts,
) -> Front:
    """The API for this event loop. `working` is the number of requests that Flask works on at once."""
    require_for_web(settings)
    keyring = open_keyring(settings)
    stores = open_stores(settings, keyring, make_scripts)
    open_consumer(settings, stores)
    flask = flask_app(WebParts(settings, stores, keyring, chance), working, pause or threading.Event().wait)
    looped = parts_over(pipelined(loop, stores.store), stores.keys, make_scripts)
    endpoints = _endpoints(WebParts(settings, looped, keyring, chance))
    return Front(flask, endpoints, keyring, _closing(looped))


def _endpoints(parts: WebParts) -> Endpoints:
    # Nobody waits for news here: those routes are Flask's.
    backend, limits = parts.backend(parts.watch(Threads(), threading.Event().wait)), LoopLimits()
    made = [Endpoint(route, backend.auth, backend.problems, parts.request_id, limits) for route in loop_routes(backend)]
    return {(one.route.method.encode(), one.route.template.encode()): one for one in made}


def _closing(stores: Stores) -> Callable[[], None]:
    return stores.store.client.close
