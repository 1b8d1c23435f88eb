"""Several databases of one process, and commands beside it: nobody takes away what is not yet in the file."""

import subprocess
import sys
from pathlib import Path

from otp_service.ledger import reading
from otp_service.ledger.database import open_database
from otp_service.ledger.migrations import migrate

LOOKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT size FROM ledger").fetchall()
connection.close()
"""


def test_a_command_that_ends_takes_nothing_away(tmp_path: Path) -> None:
    """The last connection of all removes the write-ahead log; one that only looks is not the last."""
    path = tmp_path / "ledger.db"
    first = open_database(f"sqlite:///{path}")
    migrate(first)
    with first.reading():
        second = open_database(f"sqlite:///{path}")
        migrate(second)
        subprocess.run([sys.executable, "-c", LOOKS, str(path)], check=True, timeout=300)
        assert path.with_name("ledger.db-wal").exists()
        assert reading.size(second) == 0
        second.close()
    first.close()
