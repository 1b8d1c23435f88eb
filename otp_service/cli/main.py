"""The commands. Thin: parse, call, print. What they do is elsewhere.

Guaranteed here: exit status 0 only on success; every error is one clear sentence on stderr, never a traceback for what
a person can put right; `--json` wherever data is printed; `--help` with an example everywhere, and quick, because
nothing heavy is imported before a command runs.

A further group of commands is a function that adds its parsers, named in `_GROUPS`.
"""

import argparse
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..clock import clock_ms, rfc3339
from ..domain.errors import ServiceError
from . import callbacks, messages, numbers, optouts
from .terminal import (
    PROGRAM,
    Parser,
    UsageError,
    add_command,
    add_group,
    fail,
    json_option,
    note,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from ..config import Settings
    from ..keyring import Keyring
    from ..storage.audit_log import AuditLog
    from ..storage.callbacks import Callbacks
    from ..usecases.sync_optouts import SyncResult


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 it failed, 2 it was not understood, 130 Ctrl-C."""
    parser = build_parser()
    words = sys.argv[1:] if arguments is None else arguments
    for number, word in enumerate(words, 1):
        if word != word.encode(errors="ignore").decode():
            return fail(f"argument {number} is not valid UTF-8")
    args = parser.parse_args(words)
    try:
        Path.cwd()
    except OSError as error:
        return fail(f"the current directory cannot be used: {error.strerror}")
    try:
        status = args.run(args)
        sys.stdout.flush()
    except ServiceError as error:
        return fail(error.detail)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status or 0


def build_parser() -> Parser:
    """The whole command line."""
    parser = Parser(
        prog=PROGRAM,
        description="Self-hosted two-factor authentication: one-time codes over Telnyx, followed until delivered.",
        epilog="Begin with: otp-service dev",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    groups = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for add in _GROUPS:
        add(groups)
    return parser


# ---- types of arguments ---------------------------------------------------------------------------------------------


def port_number(text: str) -> int:
    """0 to 65535; 0 takes a free one."""
    return _whole(text, 0, 65535)


def count(text: str) -> int:
    """1 to 1000."""
    return _whole(text, 1, 1000)


def app_name(text: str) -> str:
    """A name that can stand in a configuration."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name of 1 to 32 letters, digits, - and _")
    return text


def web_address(text: str) -> str:
    """An http or https URL."""
    from ..config import require_url  # noqa: PLC0415

    try:
        return require_url(text, "")
    except ServiceError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an http or https URL without query") from None


def host_name(text: str) -> str:
    """An address or a name that could be looked up."""
    try:
        known = text.strip() == text and 0 < len(text.encode("idna")) <= 253
    except UnicodeError:
        known = False
    if not known:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1, ::1 or 0.0.0.0")
    return text


def _whole(text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
    return int(text)


def _duration_ms(text: str, option: str) -> int:
    from ..config import duration_ms  # noqa: PLC0415

    return duration_ms(text, option)


# ---- printing -------------------------------------------------------------------------------------------------------


def _time(ms: int | None) -> str | None:
    """RFC 3339 in UTC."""
    if ms is None:
        return None
    return rfc3339(ms)


# ---- dev, serve, worker, sandbox ------------------------------------------------------------------------------------


def _add_processes(groups: Any) -> None:
    dev = add_command(
        groups,
        "dev",
        _dev,
        line="run everything on this machine: store, sandbox carrier, API and worker",
        text="Nothing leaves the machine. DIR/env holds the API key and all addresses while it runs.",
        example="otp-service dev --dir ./state",
    )
    dev.add_argument("--port", type=port_number, default=8080, help="of the API; 0 takes a free one (default 8080)")
    dev.add_argument(
        "--sandbox-port", type=port_number, default=8081, help="of the carrier and its phones (default 8081)"
    )
    dev.add_argument("--dir", type=Path, help="keep state here (default .otp-dev, removed at the end)")
    dev.add_argument("--redis-url", help="use this store instead of the embedded one")
    dev.add_argument("--verbose", action="store_true", help="copy the logs of all processes to stderr")

    serve = add_command(
        groups,
        "serve",
        _serve,
        line="run the API alone, on the production server",
        text="Put a reverse proxy in front of it that ends TLS and buffers requests.",
        example="OTP_KEYRING=/etc/otp/keyring.json otp-service serve --host 0.0.0.0 --port 8080",
    )
    serve.add_argument("--host", type=host_name, default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=port_number, default=8080, help="0 takes a free one (default 8080)")
    serve.add_argument("--workers", type=count, help="processes (default: one for each core, at most 8)")
    serve.add_argument("--threads", type=count, help="threads of each process (default 4)")

    worker = add_command(
        groups,
        "worker",
        _worker,
        line="run the delivery worker alone",
        text="Any number of them share the work. SIGTERM finishes what is in hand.",
        example="otp-service worker --concurrency 100",
    )
    worker.add_argument("--concurrency", type=count, default=32, help="sends at once (default 32)")

    sandbox = add_command(
        groups,
        "sandbox",
        _sandbox,
        line="run the sandbox carrier alone",
        text="It demands TELNYX_API_KEY and signs with TELNYX_WEBHOOK_SIGNING_SEED (base64 of 32 bytes) if they are "
        "set, and knows the senders of the configuration if there is one.",
        example="otp-service sandbox --port 8081 --webhook-url http://127.0.0.1:8080/webhooks/telnyx",
    )
    sandbox.add_argument("--host", type=host_name, default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    sandbox.add_argument("--port", type=port_number, default=8081, help="0 takes a free one (default 8081)")
    sandbox.add_argument(
        "--webhook-url", type=web_address, help="where webhooks go unless a message names another place"
    )


def _dev(args: argparse.Namespace) -> None:
    from ..runtime.dev import supervisor  # noqa: PLC0415

    supervisor.run(supervisor.Options(args.port, args.sandbox_port, args.dir, args.redis_url, args.verbose))


def _serve(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import api_server, processes  # noqa: PLC0415

    processes.follow_spawner(config.environment())
    settings = config.load(config.environment())
    workers = args.workers or api_server.default_workers()
    api_server.serve(settings, args.host, args.port, workers, args.threads or api_server.DEFAULT_THREADS)


def _worker(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import api_server, processes  # noqa: PLC0415

    # SIGHUP asks for what happens every second anyway: the keyring file is looked at.
    stop = processes.stop_on_signals(reload=lambda: None)
    settings = config.load(config.environment())
    with processes.following_spawner(config.environment()), api_server.metrics_directory(settings):
        from .. import telemetry  # noqa: PLC0415 - after the metrics directory is set
        from ..bootstrap import build_worker  # noqa: PLC0415

        telemetry.configure_logging(settings.log_level)
        build_worker(settings, concurrency=args.concurrency).run(stop)
    sys.stdout.flush()
    if any(thread.is_alive() and not thread.daemon for thread in threading.enumerate()[1:]):
        # It has drained as long as it may. What still waits for a carrier is taken over by another worker.
        os._exit(0)


def _sandbox(args: argparse.Namespace) -> None:
    from .. import config  # noqa: PLC0415
    from ..runtime import processes  # noqa: PLC0415
    from ..sandbox.server import CannotListenError, SandboxSender, SandboxServer  # noqa: PLC0415

    stop = processes.stop_on_signals()
    processes.follow_spawner(config.environment())
    settings = config.load(config.environment())
    senders = [
        SandboxSender(sender.kind, sender.messaging_profile_id, sender.address)
        for sender in settings.policy.senders.values()
    ]
    try:
        server = SandboxServer(
            host=args.host,
            port=args.port,
            webhook_url=args.webhook_url,
            api_key=settings.telnyx_api_key,
            signing_seed=_signing_seed(config.environment()),
            senders=senders,
        )
    except CannotListenError as error:
        raise UsageError(f"{error} Choose another with --host or --port.") from error
    with server:
        print(f"TELNYX_BASE_URL={server.url}/v2")
        print(f"TELNYX_PUBLIC_KEY={server.public_key_b64}", flush=True)
        print(f"The phones: {server.url}", file=sys.stderr)
        stop.wait()


def _signing_seed(environ: Mapping[str, str]) -> bytes | None:
    from ..sandbox.server import decode_seed  # noqa: PLC0415

    name = "TELNYX_WEBHOOK_SIGNING_SEED"
    text, path = environ.get(name), environ.get(f"{name}_FILE")
    try:
        if not text and path:
            text = Path(path).read_text(encoding="utf-8").strip()
        return decode_seed(text) if text else None
    except OSError as error:
        raise UsageError(f"{name}_FILE: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{name}: must be the base64 of 32 bytes") from error


# ---- keys -----------------------------------------------------------------------------------------------------------


def _add_keys(groups: Any) -> None:
    keys = add_group(
        groups,
        "keys",
        line="manage the API keys in the store (OTP_REDIS_URL); changes hold everywhere within 5 s",
        example="otp-service keys create --app default --scope verify --expires 90d",
    )
    create = add_command(
        keys,
        "create",
        _keys_create,
        line="make a key and show its secret once",
        text="Scopes: verify, optouts:read, factors, audit:read, metrics.",
        example="otp-service keys create --app default --scope verify --scope audit:read --expires 90d",
    )
    create.add_argument("--app", required=True, type=app_name, help="the configured app it speaks for")
    create.add_argument("--scope", required=True, action="append", help="what it may do; may be repeated")
    create.add_argument("--expires", metavar="DURATION", help="e.g. 12h or 90d (default: never)")
    shown = add_command(keys, "list", _keys_list, line="show all keys without their secrets", example=_KEYS_LIST)
    shown.add_argument("--app", help="only this app's")
    revoke = add_command(keys, "revoke", _keys_revoke, line="end a key now", example="otp-service keys revoke 3f9a…")
    rotate = add_command(
        keys,
        "rotate",
        _keys_rotate,
        line="make a key like an old one, which ends after the overlap",
        example="otp-service keys rotate 3f9a… --overlap 24h",
    )
    rotate.add_argument("--overlap", metavar="DURATION", default="24h", help="how long both hold (default 24h)")
    for parser in (revoke, rotate):
        parser.add_argument("id", metavar="ID", help="the key's id, as in: otp-service keys list")
    for parser in (create, shown, revoke, rotate):
        json_option(parser)


_KEYS_LIST = "otp-service keys list --app default --json"


def _settings() -> "Settings":
    from .. import config  # noqa: PLC0415

    return config.load(config.environment())


def _known_app(settings: "Settings", app: str) -> str:
    apps = settings.policy.apps
    if settings.config_path is None:
        print(f"no configuration found (OTP_CONFIG), so nothing is known about the app {app!r}", file=sys.stderr)
    elif app not in apps:
        raise UsageError(f"there is no app {app!r} in {settings.config_path} (there: {', '.join(sorted(apps)) or '-'})")
    return app


def _known_scopes(scopes: Sequence[str]) -> list[str]:
    from ..storage.api_keys import SCOPES  # noqa: PLC0415

    for scope in scopes:
        if scope not in SCOPES:
            raise UsageError(f"there is no scope {scope!r}; the scopes are {', '.join(SCOPES)}")
    return [scope for scope in SCOPES if scope in scopes]


def _keys_create(args: argparse.Namespace) -> None:
    from ..bootstrap import build_api_keys  # noqa: PLC0415

    settings = _settings()
    app, scopes = _known_app(settings, args.app), _known_scopes(args.scope)
    lifetime_ms = _duration_ms(args.expires, "--expires") if args.expires is not None else None
    if lifetime_ms == 0:
        raise UsageError("--expires: a key that ends at once is of no use")
    _show_new(build_api_keys(settings).create(app, scopes, lifetime_ms), as_json=args.json)


def _show_new(created: Any, *, as_json: bool) -> None:
    facts = {
        "id": created.id,
        "app": created.app,
        "scopes": list(created.scopes),
        "expires_at": _time(created.expires_at_ms),
        "key": created.key,
    }
    if as_json:
        print_json(facts)
        return
    print(f"id       {created.id}\napp      {created.app}\nscopes   {', '.join(created.scopes)}")
    print(f"expires  {facts['expires_at'] or 'never'}\n\n{created.key}\n")
    print("This is the only time that the key is shown.", file=sys.stderr)


def _keys_list(args: argparse.Namespace) -> None:
    from ..bootstrap import build_api_keys  # noqa: PLC0415

    settings = _settings()
    found = build_api_keys(settings).list(args.app)
    if args.app is not None and not found:
        # Keys of an app that is configured no more are shown, too; a typing error is not an empty list.
        _known_app(settings, args.app)
    facts = [
        {
            "id": info.id,
            "app": info.app,
            "scopes": list(info.scopes),
            "created_at": _time(info.created_at_ms),
            "expires_at": _time(info.expires_at_ms),
            "revoked_at": _time(info.revoked_at_ms),
        }
        for info in found
    ]
    if args.json:
        print_json(facts)
        return
    columns = ("id", "app", "scopes", "created_at", "expires_at", "revoked_at")
    print_table(columns, ([_cell(fact[column]) for column in columns] for fact in facts))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _keys_revoke(args: argparse.Namespace) -> None:
    from ..bootstrap import build_api_keys  # noqa: PLC0415

    if not build_api_keys(_settings()).revoke(args.id):
        raise UsageError(f"there is no key {args.id!r}; see: otp-service keys list")
    if args.json:
        print_json({"id": args.id, "revoked": True})
    else:
        print(f"revoked {args.id}")


def _keys_rotate(args: argparse.Namespace) -> None:
    from ..bootstrap import build_api_keys  # noqa: PLC0415

    overlap_ms = _duration_ms(args.overlap, "--overlap")
    created = build_api_keys(_settings()).rotate(args.id, overlap_ms)
    if created is None:
        raise UsageError(f"there is no valid key {args.id!r}; see: otp-service keys list")
    _show_new(created, as_json=args.json)


# ---- keyring --------------------------------------------------------------------------------------------------------


def _add_keyring(groups: Any) -> None:
    keyring = add_group(
        groups,
        "keyring",
        line="manage the file of secrets that seal codes and sign receipts (OTP_KEYRING)",
        example="otp-service keyring create /etc/otp/keyring.json",
    )
    create = add_command(
        keyring,
        "create",
        _keyring_create,
        line="make a keyring file that only this user can read",
        text="Keep a copy in a safe place: without it no stored code and no number's budget can be read again.",
        example="otp-service keyring create /etc/otp/keyring.json",
    )
    rotate = add_command(
        keyring,
        "rotate",
        _keyring_rotate,
        line="add a new key, published now and making new things later; the old ones go on opening what they made",
        text="Running processes notice within two seconds; nothing has to be restarted. Until its time has come the "
        "new key is only published, so that whoever verifies receipts with keys fetched before (they may be kept for "
        "five minutes) has it in time.",
        example="otp-service keyring rotate /etc/otp/keyring.json",
    )
    rotate.add_argument(
        "--after", metavar="DURATION", default="10m", help="when it makes new things; 0s: at once (default 10m)"
    )
    status = add_command(
        keyring,
        "status",
        _keyring_status,
        line="show the keys, what each does now, and their fingerprints; no secrets",
        text="next: published, makes nothing yet. active: makes new things. verify: published, opens what it made. "
        "retired: opens what it made.",
        example="otp-service keyring status /etc/otp/keyring.json --json",
    )
    for parser in (create, rotate, status):
        parser.add_argument("path", metavar="PATH", type=Path, help="the keyring file")
        json_option(parser)


_LONGEST_WAIT_MS = 30 * 86_400_000


def _keyring_create(args: argparse.Namespace) -> None:
    import secrets  # noqa: PLC0415

    from .. import keyring  # noqa: PLC0415

    raw = keyring.create(secrets.token_bytes, _time(clock_ms()) or "")
    try:
        descriptor = os.open(args.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"{args.path} exists; it is never overwritten (see: otp-service keyring rotate)") from None
    except OSError as error:
        raise UsageError(f"cannot write {args.path}: {error.strerror}") from error
    _show_keyring("created", args, keyring.parse(raw).active_kid)


def _keyring_rotate(args: argparse.Namespace) -> None:
    import secrets  # noqa: PLC0415

    from .. import keyring  # noqa: PLC0415
    from ..runtime.dev.supervisor import write_private  # noqa: PLC0415

    now_ms, after_ms = _stores_now_ms(), _duration_ms(args.after, "--after")
    if after_ms > _LONGEST_WAIT_MS:
        raise UsageError("--after: at most 30d")
    active_from = _time(now_ms + after_ms) if after_ms else None
    try:
        owner = args.path.stat()
        raw = keyring.rotate(args.path.read_bytes(), secrets.token_bytes, _time(now_ms) or "", active_from)
        write_private(args.path, raw)
        if os.geteuid() == 0:
            # Root may rotate the file of the service's own user, who has to be able to read it afterwards.
            os.chown(args.path, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise UsageError(f"cannot rotate {args.path}: {error.strerror}") from error
    except keyring.KeyringError as error:
        raise UsageError(f"{args.path}: {error}") from error
    _show_rotated(args, keyring.parse(raw, now_ms), active_from)


def _stores_now_ms() -> int:
    """Unix milliseconds by the store's clock, which decides when a key becomes active; by ours if none is named."""
    from .. import config  # noqa: PLC0415
    from ..storage import client  # noqa: PLC0415

    url = config.environment().get("OTP_REDIS_URL")
    if not url:
        return clock_ms()
    try:
        store = client.connect(url)
        try:
            return client.clock_ms(store)
        finally:
            store.close()
    except ServiceError:
        note("the store does not answer: the times of the new key are by this machine's clock")
        return clock_ms()


def _show_rotated(args: argparse.Namespace, ring: "Keyring", active_from: str | None) -> None:
    if active_from is None:
        _show_keyring("rotated", args, ring.active_kid)
        return
    kid = ring.states()[-1][0].kid
    if args.json:
        print_json({"path": str(args.path), "active_kid": ring.active_kid, "next_kid": kid, "active_from": active_from})
    else:
        print(f"rotated {args.path}; the new key {kid} is published now and active from {active_from}")


def _show_keyring(what: str, args: argparse.Namespace, kid: str) -> None:
    if args.json:
        print_json({"path": str(args.path), "active_kid": kid})
    else:
        print(f"{what} {args.path}; the active key is {kid}")


def _keyring_status(args: argparse.Namespace) -> None:
    from .. import keyring  # noqa: PLC0415

    try:
        ring = keyring.parse(args.path.read_bytes(), clock_ms())
    except OSError as error:
        raise UsageError(f"cannot read {args.path}: {error.strerror}") from error
    except keyring.KeyringError as error:
        raise UsageError(f"{args.path}: {error}") from error
    facts = [
        {
            "kid": key.kid,
            "state": state,
            "created_at": key.created_at or None,
            "active_from": _time(key.from_ms or None) or key.created_at or None,
            "fingerprint": key.fingerprint,
        }
        for key, state in ring.states()
    ]
    if args.json:
        print_json({"path": str(args.path), "index_fingerprint": ring.fingerprint, "keys": facts})
        return
    print(f"index key  {ring.fingerprint} (never changes)\n")
    columns = ("kid", "state", "created_at", "active_from", "fingerprint")
    print_table(columns, ([_cell(fact[column]) for column in columns] for fact in facts))


# ---- doctor, audit --------------------------------------------------------------------------------------------------


def _add_checks(groups: Any) -> None:
    doctor = add_command(
        groups,
        "doctor",
        _doctor,
        line="check configuration, store, carrier credentials, sender numbers, webhook key and clocks",
        text="One line each; the exit status is 1 if any fails.",
        example="otp-service doctor --json",
    )
    audit = add_group(groups, "audit", line="read the audit log", example="otp-service audit tail --follow --json")
    tail = add_command(
        audit,
        "tail",
        _audit_tail,
        line="show the latest events, oldest first",
        text="With --json one object a line.",
        example="otp-service audit tail --follow --json | jq .type",
    )
    tail.add_argument("--follow", action="store_true", help="go on with new events until Ctrl-C")
    tail.add_argument("--since", metavar="DURATION", default="1h", help="how far back to begin (default 1h)")
    for parser in (doctor, tail):
        json_option(parser)


def _doctor(args: argparse.Namespace) -> int:
    from ..bootstrap import diagnose  # noqa: PLC0415

    facts = []
    for finding in diagnose(_settings()):
        facts.append({"name": finding.name, "ok": finding.ok, "detail": finding.detail})
        if not args.json:
            print(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}", flush=True)
    if args.json:
        print_json(facts)
    failed = sum(not fact["ok"] for fact in facts)
    if failed:
        return fail(f"{failed} of {len(facts)} checks failed")
    return 0


def _audit_tail(args: argparse.Namespace) -> None:
    from ..bootstrap import build_audit  # noqa: PLC0415

    since_ms = clock_ms() - _duration_ms(args.since, "--since")
    stop = _stop_on_ctrl_c() if args.follow else None
    for event in _events(build_audit(_settings()), since_ms, stop):
        print(json.dumps(event, ensure_ascii=False) if args.json else _event_line(event), flush=args.follow)


def _stop_on_ctrl_c() -> threading.Event:
    from ..runtime.processes import stop_on_signals  # noqa: PLC0415

    # Ctrl-C is how following ends, so it is a success.
    return stop_on_signals()


def _events(audit: "AuditLog", since_ms: int, stop: threading.Event | None) -> Iterator[dict[str, Any]]:
    """Events since a time, merged by time; with `stop` also the new ones, until it is set."""
    import msgspec  # noqa: PLC0415

    from ..domain.audit import Position  # noqa: PLC0415
    from ..web.schemas.audit import audit_event  # noqa: PLC0415

    # Positions are exclusive: the last one before the first wanted millisecond.
    positions = [Position(max(0, since_ms - 1), 2**63 - 1)] * audit.shards
    while True:
        page = audit.read(positions, shards=range(audit.shards), until_ms=None, limit=500, wanted={})
        positions = page.positions
        for event in page.events:
            yield msgspec.to_builtins(audit_event(event))
        if page.at_end and (stop is None or stop.wait(0.3)):
            return


def _event_line(event: Mapping[str, Any]) -> str:
    named = {name: event[name] for name in ("app", "to", "delivery_id", "verification_id") if event.get(name)}
    if "delivery_id" in named:
        del named["verification_id"]  # it stands in the delivery's
    rest = " ".join(f"{name}={_cell(value)}" for name, value in {**named, **event["detail"]}.items())
    return f"{event['at']}  {event['type']:<24}  {rest}"


# ---- callbacks ------------------------------------------------------------------------------------------------------


def _add_callbacks(groups: Any) -> None:
    callbacks.register(groups, _open_callbacks)


def _open_callbacks() -> "tuple[Callbacks, list[str]]":
    from ..bootstrap import build_callbacks  # noqa: PLC0415

    settings = _settings()
    return build_callbacks(settings), list(settings.policy.endpoints)


# ---- the carrier ----------------------------------------------------------------------------------------------------


def _add_carrier(groups: Any) -> None:
    messages.register(groups)
    optouts.register(groups, _sync_optouts)
    numbers.register(groups)


def _sync_optouts(tell: Callable[[int, int], None]) -> "list[SyncResult]":
    from ..bootstrap import sync_optouts  # noqa: PLC0415

    return sync_optouts(_settings(), tell)


_GROUPS: tuple[Callable[[Any], None], ...] = (
    _add_processes,
    _add_keys,
    _add_keyring,
    _add_callbacks,
    _add_carrier,
    _add_checks,
)
