"""Beginning a new log after the ledger was rolled back: it goes on record, in the store and so in the new log."""

from typing import TYPE_CHECKING

from ..clock import clock_ms
from ..config import Settings, load_keyring
from ..domain.audit import EventType
from ..domain.errors import ConfigError
from .ledger import open_ledger, put_on_record
from .signed_log import kept_checkpoint

if TYPE_CHECKING:
    from ..signed_log.new_log import Begun


def begin_new_log(settings: Settings) -> "Begun":
    """End the log that was rolled back, and name the next one. Raises ConfigError, LedgerUnavailable, LogIsGood."""
    from ..ledger import log_ends  # noqa: PLC0415
    from ..signed_log import new_log  # noqa: PLC0415 - the database's library, only if it is asked for
    from ..signed_log.signers import origin_of, signers_of  # noqa: PLC0415

    keyring = load_keyring(settings)
    database = open_ledger(settings)
    signers = signers_of(lambda: keyring.at(clock_ms()))
    try:
        begun = new_log.begin_new_log(
            database, signers, kept_checkpoint(settings), origin_of(settings.public_url), clock_ms()
        )
        # The exporter does the same where this is not done any more, or where the store takes no event now.
        if put_on_record(settings, EventType.LEDGER_ACCEPTED, begun.told, once=begun.origin):
            log_ends.mark_recorded(database, begun.origin)
    except OSError as error:
        raise ConfigError(f"the old checkpoints cannot be put aside: {error}") from error
    finally:
        database.close()
    return begun
