"""`otp-service replicas`: how many replicas follow the store's servers, and doing without those that are gone."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .acts import put_on_record
from .output import note, print_json, print_table
from .parser import add_command, add_group, json_option
from .settings import load_settings

if TYPE_CHECKING:
    from ..storage.replicas import Counted

_NEEDS = "It needs OTP_REDIS_URL and the configuration."


def register(subparsers: Any) -> None:
    """Add the commands to the command line."""
    groups = add_group(
        subparsers,
        "replicas",
        line="show how many replicas follow the store's primary, and do without those that are gone for good",
        example="otp-service replicas list",
    )
    listed = add_command(
        groups,
        "list",
        _list,
        line="list how many replicas follow each primary, and how many have to",
        text=_NEEDS,
        example="otp-service replicas list",
    )
    lowered = add_command(
        groups,
        "lower",
        _lower,
        line="let those that follow now be enough",
        text="Only if the missing ones are gone for good and cannot become the primary: what was told to callers since "
        "would be unknown there. With sentinels, and in a Cluster, the service does this by itself when they confirm "
        f"that nobody takes over. {_NEEDS}",
        example="otp-service replicas lower",
    )
    json_option(listed)
    json_option(lowered)


def _list(args: argparse.Namespace) -> None:
    from ..bootstrap import build_replicas  # noqa: PLC0415

    _show(build_replicas(load_settings()).counted(), as_json=args.json)


def _lower(args: argparse.Namespace) -> None:
    from ..bootstrap import build_replicas  # noqa: PLC0415

    replicas = build_replicas(load_settings())
    told = {server.run: f"{server.follow} of {server.need}" for server in replicas.counted()}
    put_on_record("replicas.lowered", told)
    servers = replicas.lower()
    _show(servers, as_json=args.json)
    if any(server.need and not server.follow for server in servers):
        note("a primary that no replica follows is served with replicas = 0 in [store] alone")


def _show(servers: "Sequence[Counted]", *, as_json: bool) -> None:
    if as_json:
        print_json([{"run": server.run, "follow": server.follow, "needed": server.need} for server in servers])
        return
    rows = ((server.run, str(server.follow), str(server.need)) for server in servers)
    print_table(("primary's run", "follow", "needed"), rows)
