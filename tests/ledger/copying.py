"""A large ledger out of a smaller one: copies of its rows with other ids, numbers and times, made by the database."""

from sqlalchemy import Connection

from otp_service.ledger.database import Database

_RECORDS = """
INSERT INTO records (seq, leaf, leaf_hash, shard, at_ms, counter, type, app, verification, delivery, message_id,
  number_hash, person)
SELECT seq + {by}, leaf, leaf_hash, shard, at_ms + {later_ms}, counter, type, app,
  '{letter}' || substr(verification, 2), substr(delivery, 1, 4) || '{letter}' || substr(delivery, 6),
  '{letter}' || message_id,
  CASE WHEN number_hash = '{busy}' THEN number_hash ELSE '{digit}' || substr(number_hash, 2) END,
  person + {by}
FROM records WHERE seq <= {size}
"""
_PERSONS = """
INSERT INTO persons (id, number_hash, sealed)
SELECT id + {by}, CASE WHEN number_hash = '{busy}' THEN number_hash ELSE '{digit}' || substr(number_hash, 2) END, sealed
FROM persons WHERE id <= {size}
"""


def copy_rows(database: Database, size: int, times: int, busy: str) -> int:
    """Copy the first `size` records so often, up to 15 times, each time behind all others; how many there are then.

    `busy`: the hash of the number that stays as it is. The first digit of a hash says nothing of the shard, and the
    first of a token nothing of the number. What is hashed stays as it was: such a ledger cannot be verified.
    """
    for copy in range(1, times + 1):
        with database.writing() as connection:
            _copy(connection, size, copy, busy)
    return size * (times + 1)


def _copy(connection: Connection, size: int, copy: int, busy: str) -> None:
    span = connection.exec_driver_sql(f"SELECT MAX(at_ms) - MIN(at_ms) FROM records WHERE seq <= {size}").scalar_one()
    values = {
        "by": size * copy,
        "size": size,
        "later_ms": (span + 1) * copy,
        "letter": "abcdefghijklmnop"[copy],
        "digit": "0123456789abcdef"[copy],
        "busy": busy,
    }
    for statement in (_RECORDS, _PERSONS):
        connection.exec_driver_sql(statement.format(**values))
    connection.exec_driver_sql(f"UPDATE ledger SET size = {size * (copy + 1)}")
