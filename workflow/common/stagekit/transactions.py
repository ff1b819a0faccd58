"""Writing to a platform's database: all of a job in one transaction, one job after the other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import sqlalchemy as sa

from stagekit.problems import StageError

WRITING_LOCK = 0x69786D7034  # one number for all jobs that write to a PostgreSQL platform
POLL_SECONDS = 0.5


@contextlib.contextmanager
def transaction(engine: sa.Engine, wait: float) -> Iterator[sa.Connection]:
    """Open a transaction for writing; everything is committed at the end of the block, or nothing.

    Jobs that write to one platform follow each other: variables, models and versions are shared,
    and two that write the same names at once would block or fail each other at random.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        From `stagekit.platform.engine`.
    wait : float
        Seconds to wait for somebody else's writing.

    Raises
    ------
    StageError
        ``platform_busy`` if another job writes for longer than that.
    """
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            _queue(connection, wait)
        else:
            # keep the pages of a large import in memory: written early, they lock readers out
            connection.exec_driver_sql("PRAGMA cache_spill = OFF")
        yield connection
        print("committing", flush=True)
    print("committed", flush=True)


def _queue(connection: sa.Connection, wait: float) -> None:
    connection.execute(sa.text(f"SET LOCAL lock_timeout = '{int(wait * 1000)}ms'"))
    ask = sa.text("SELECT pg_try_advisory_xact_lock(:number)")
    deadline = time.monotonic() + wait
    told = False
    while not connection.execute(ask, {"number": WRITING_LOCK}).scalar_one():
        if time.monotonic() > deadline:
            raise StageError(
                "platform_busy",
                f"Another import has been writing to the platform for {wait:.0f} seconds."
                " Continue the job later.",
            )
        if not told:
            print("waiting for another import into this platform", flush=True)
            told = True
        time.sleep(POLL_SECONDS)
