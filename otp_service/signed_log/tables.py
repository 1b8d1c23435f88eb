"""The tables of the signed log, as the steps `0010_signed_log`, `0011_witnesses` and `0030_log_outlets` make them."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

LOG = Table("log", METADATA, Column("id", Integer, primary_key=True), Column("origin", Text), Column("first_key", Text))
TILES = Table(
    "log_tiles",
    METADATA,
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hashes", LargeBinary),
)
CHECKPOINTS = Table(
    "log_checkpoints",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("size", BigInteger),
    Column("note", Text),
    Column("at_ms", BigInteger),
    Column("rotates", Integer),
)
WITNESSES = Table(
    "log_witnesses",
    METADATA,
    Column("witness", Text, primary_key=True),
    Column("checkpoint", BigInteger),
    Column("line", Text),
    Column("at_ms", BigInteger),
)
OUTLETS = Table(
    "log_outlets",
    METADATA,
    Column("target", Text, primary_key=True),
    Column("checkpoint", BigInteger),
    Column("again_ms", BigInteger),
    Column("failures", Integer),
)
TIMESTAMPS = Table(
    "log_timestamps",
    METADATA,
    Column("checkpoint", BigInteger, primary_key=True),
    Column("response", LargeBinary),
    Column("at_ms", BigInteger),
)
