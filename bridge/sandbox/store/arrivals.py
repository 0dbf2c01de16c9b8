"""
How many mails of a folder came before or after a moment, without counting them one by one.

The table `arrivals` is kept by triggers and holds a number for each stretch of 2^32 microseconds, which is 72 minutes;
only the mails of the stretch that the moment lies in are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

_BITS: Final = 32

_COUNT_NEW: Final = f"""
  INSERT INTO arrivals SELECT new.folder, new.received >> {_BITS}, 1 WHERE new.received IS NOT NULL
    ON CONFLICT DO UPDATE SET total = total + 1;"""
_COUNT_OLD: Final = f"""
  UPDATE arrivals SET total = total - 1 WHERE folder = old.folder AND stretch = old.received >> {_BITS};
  DELETE FROM arrivals WHERE folder = old.folder AND stretch = old.received >> {_BITS} AND total = 0;"""  # noqa: S608 - likewise

SCHEMA: Final = f"""
CREATE TABLE arrivals (
  folder INTEGER NOT NULL REFERENCES folders ON DELETE CASCADE,
  stretch INTEGER NOT NULL,
  total INTEGER NOT NULL,
  PRIMARY KEY (folder, stretch)
) WITHOUT ROWID;
INSERT INTO arrivals SELECT folder, received >> {_BITS}, count(*) FROM items WHERE received IS NOT NULL GROUP BY 1, 2;
CREATE TRIGGER arrival_added AFTER INSERT ON items BEGIN {_COUNT_NEW} END;
CREATE TRIGGER arrival_removed AFTER DELETE ON items BEGIN {_COUNT_OLD} END;
CREATE TRIGGER arrival_changed AFTER UPDATE OF folder, props ON items
  WHEN old.folder <> new.folder OR old.received IS NOT new.received BEGIN {_COUNT_OLD} {_COUNT_NEW} END;
"""  # noqa: S608 - made of this program's own constants


def count(db: sqlite3.Connection, folder: int, sign: str, moment: int) -> int:
    """Return how many mails of a folder have a time of receipt for which `received sign moment` holds."""
    if sign not in ("<", "<=", ">", ">="):
        raise ValueError(sign)
    stretch = moment >> _BITS
    first, end = stretch << _BITS, (stretch + 1) << _BITS
    query = f"""SELECT
        (SELECT coalesce(sum(total), 0) FROM arrivals WHERE folder = ?1 AND stretch {sign[0]} ?2)
        + (SELECT count(*) FROM items WHERE folder = ?1 AND received >= ?3 AND received < ?4 AND received {sign} ?5)"""  # noqa: S608 - checked above
    return int(db.execute(query, (folder, stretch, first, end, moment)).fetchone()[0])
