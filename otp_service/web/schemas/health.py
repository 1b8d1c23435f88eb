"""Health of a process."""

from typing import Annotated

import msgspec

from .values import words


class Health(msgspec.Struct, omit_defaults=True):
    """The process answers. `warnings` name what does not work while the rest does: shards of a Cluster."""

    status: Annotated[str, words(("ok", "ready"))]
    warnings: list[dict[str, str]] = []
