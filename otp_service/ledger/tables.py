"""The tables of the ledger, as the steps in `steps/` make them."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

LEDGER = Table("ledger", METADATA, Column("id", Integer, primary_key=True), Column("size", BigInteger))
"""One row: how many records there are."""

RECORDS = Table(
    "records",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("leaf", LargeBinary),
    Column("leaf_hash", LargeBinary),
    Column("shard", Integer),
    Column("at_ms", BigInteger),
    Column("counter", BigInteger),
    Column("type", Text),
    Column("app", Text),
    Column("verification", Text),
    Column("delivery", Text),
    Column("message_id", Text),
    Column("number_hash", Text),
    Column("person", BigInteger),
)
"""A record with its canonical JSON (`leaf`) and the columns by which it is found."""

PERSONS = Table(
    "persons",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("number_hash", Text),
    Column("sealed", Text),
)
"""What identifies somebody. `id`: the number of the first record that it belongs to."""

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("seq", BigInteger, primary_key=True),
    Column("at_ms", BigInteger),
    Column("number_hash", Text),
    Column("sealed", Text),
)
"""What the carrier signed. `seq` and `at_ms`: number and time of the record that it caused."""

POSITIONS = Table(
    "positions",
    METADATA,
    Column("shard", Integer, primary_key=True),
    Column("entry", Text),
    Column("counted", BigInteger),
)
"""How far each stream has been read."""

ERASURES = Table("erasures", METADATA, Column("tombstone", Text, primary_key=True), Column("at_ms", BigInteger))
"""Each erasure that was done."""

CONFIGURATIONS = Table("configurations", METADATA, Column("hash", Text, primary_key=True), Column("content", Text))
"""Each configuration that decided anything, without secrets."""

GAPS = Table(
    "gaps",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("at_ms", BigInteger),
    Column("detail", Text),
    Column("recorded", Integer),
    Column("accepted_ms", BigInteger),
)
"""Where the record has a gap. `recorded`: 1 once its event is in a stream."""

LOG_ENDS = Table(
    "log_ends",
    METADATA,
    Column("following", Text, primary_key=True),
    Column("at_ms", BigInteger),
    Column("detail", Text),
    Column("recorded", Integer),
)
"""Where a signed log ended. `recorded`: 1 once its event is in a stream."""

MIGRATION = Table(
    "migration", METADATA, Column("step", Integer, primary_key=True), Column("name", Text), Column("at_ms", BigInteger)
)
"""The steps that were applied."""
