"""`otp-service witness`: what an auditor runs on another machine, and how the operator takes a witness away."""

import argparse
import os
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.errors import ServiceError
from .arguments import file_path, host_and_port, web_address
from .keys import at_shell
from .output import note, print_line
from .parser import UsageError, add_command, add_group
from .settings import duration_ms, load_settings

if TYPE_CHECKING:
    from ..transparency.notes import Signer
    from ..witness.following import Follower
    from ..witness.memory import MemoryFile

KEY_VARIABLE = "OTP_API_KEY"


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    witness = add_group(
        groups,
        "witness",
        line="cosign the audit log of a service, from another machine",
        example="otp-service witness run --log https://otp.example --key witness.key",
    )
    run = add_command(
        witness,
        "run",
        _run,
        line="follow a log and cosign what continues what was cosigned before",
        text=f"The API key (scope audit:all) is read from {KEY_VARIABLE}; the listener of --metrics-port needs none. "
        "A forked or rolled-back log gets no cosignature, and the exit status is 1 with --once. With --listen it waits "
        "for logs that bring their checkpoints (C2SP tlog-witness) and asks for nothing.",
        example="otp-service witness run --log https://otp.example --key witness.key --log-key 'otp.example/audit+…'",
    )
    source = run.add_mutually_exclusive_group(required=True)
    source.add_argument("--log", metavar="URL", type=web_address, help="the service whose log it is")
    source.add_argument(
        "--listen", metavar="HOST:PORT", type=host_and_port, help="where the log brings it; needs --log-key at first"
    )
    run.add_argument("--key", metavar="FILE", required=True, type=file_path, help="the witness's key; made if missing")
    run.add_argument("--log-key", metavar="VKEY", help="the log's key, learnt elsewhere (default: what the log says)")
    run.add_argument("--name", default=socket.gethostname(), help="the witness's name in a new key (default: the host)")
    run.add_argument("--every", metavar="DURATION", default="10s", help="time between two looks (default 10s)")
    run.add_argument("--once", action="store_true", help="look once and end")
    remove = add_command(
        witness,
        "remove",
        _remove,
        line="take a witness away from the log of this machine",
        text="The log has room for 16. Revoke its API key first: a witness that still runs is taken in again.",
        example="otp-service witness remove witness.example",
    )
    remove.add_argument("witness", metavar="WITNESS", help="its name or verifier key, as doctor and the record have it")


def _remove(args: argparse.Namespace) -> None:
    from ..bootstrap.witnesses import remove_witness  # noqa: PLC0415
    from ..storage.callers import set_caller  # noqa: PLC0415

    settings = load_settings()
    set_caller("", "", at_shell(settings))
    removed = remove_witness(settings, args.witness)
    if not removed:
        raise UsageError(f"the log has no witness {args.witness!r}")
    for key in removed:
        print_line(f"removed {key}")


def _run(args: argparse.Namespace) -> int:
    from ..runtime.signals import stop_on_signals  # noqa: PLC0415
    from ..witness.following import Follower  # noqa: PLC0415
    from ..witness.identity import load_or_make  # noqa: PLC0415
    from ..witness.memory import MemoryFile  # noqa: PLC0415
    from ..witness.remote_log import RemoteLog  # noqa: PLC0415

    every_s = duration_ms(args.every, "--every") / 1000
    signer = load_or_make(args.key, args.name)
    file = MemoryFile(Path(f"{args.key}.log"))
    if args.listen is not None:
        return _listen(args, signer, file)
    log = RemoteLog(args.log, os.environ.get(KEY_VARIABLE, ""))
    stop = stop_on_signals()
    with file.locked():
        follower = Follower(log, signer, file, lambda: int(time.time()))
        print_line(f"witness {signer.key}", flush=True)
        _begin(follower, args.log_key)
        good = _look(follower)
        while not args.once and not stop.wait(every_s):
            good = _look(follower)
    log.close()
    return 0 if good or not args.once else 1


def _listen(args: argparse.Namespace, signer: "Signer", file: "MemoryFile") -> int:
    from ..runtime.ports import usable_address  # noqa: PLC0415
    from ..runtime.signals import stop_on_signals  # noqa: PLC0415
    from ..witness.following import begin  # noqa: PLC0415
    from ..witness.listening import Accepting, WitnessServer  # noqa: PLC0415

    stop = stop_on_signals()
    with file.locked():
        first = begin(file, args.log_key).first_key
        host, port = args.listen
        address = usable_address(host, port, "--listen")
        with WitnessServer(address, Accepting(signer, file, lambda: int(time.time())), _tell) as server:
            print_line(f"witness {signer.key}", flush=True)
            _tell_key(first, args.log_key)
            print_line(f"listening on {address[0]}:{server.server_address[1]}", flush=True)
            threading.Thread(target=server.serve_forever, name="witness", daemon=True).start()
            stop.wait()
            server.shutdown()
    return 0


def _tell(line: str) -> None:
    print_line(line, flush=True)


def _begin(follower: "Follower", log_key: str | None) -> None:
    _tell_key(follower.begin(log_key).first_key, log_key)


def _tell_key(first_key: str, log_key: str | None) -> None:
    from ..transparency.notes import VerifierKey  # noqa: PLC0415

    known = VerifierKey.parse(first_key)
    where = "as it was given" if log_key else "as the log told it: compare it with one learnt elsewhere"
    note(f"the log's key, {where}: {known} (SHA-256 {known.fingerprint})")


def _look(follower: "Follower") -> bool:
    """One round; whether it was good. What is wrong is told, and looked at again later."""
    from ..transparency.witnessing import WitnessRefusal  # noqa: PLC0415

    try:
        done = follower.round()
    except WitnessRefusal as refusal:
        note(f"NOT COSIGNED ({refusal.status}): {refusal}")
        return False
    except ServiceError as error:
        note(error.detail)
        return False
    if done is not None:
        handed = "" if done.handed_in else "; the log did not take the cosignature"
        print_line(f"cosigned {done.size} records{handed}", flush=True)
    return True
