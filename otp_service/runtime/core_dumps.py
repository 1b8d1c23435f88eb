"""No core dump of a process that holds secrets: a dump has keys, codes and numbers in it."""

import resource


def forbid() -> None:
    """Let the kernel write no dump of this process and of those that it starts, whatever the shell allows."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
