"""Health of a process."""

import msgspec


class Health(msgspec.Struct, omit_defaults=True):
    """The process answers. `warnings` name what does not work while the rest does: shards of a Cluster."""

    status: str
    warnings: list[dict[str, str]] = []
