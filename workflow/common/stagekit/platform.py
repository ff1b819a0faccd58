"""Reaching an ixmp4 platform: its address, its state, and errors a person understands.

Needs SQLAlchemy; ixmp4 itself, which takes seconds to import, only to create or upgrade one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib.util
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from stagekit import patience
from stagekit.platform_names import PlatformNames
from stagekit.problems import StageError
from stagekit.program import DSN_VARIABLE, redact

CONNECT_SECONDS = 20  # how long the first contact with a database server may take
WRITTEN = ("run", "iamc_timeseries", "iamc_datapoint_universal", "runmetaentry", "checkpoint")
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_REVISION = re.compile(r"^(down_)?revision\s*(?::[^=]+)?=\s*[\"']([0-9a-f]+)[\"']", re.MULTILINE)


def address(embedded: Path | None) -> str:
    """Give the address of the platform: from the environment, else the embedded one.

    Raises
    ------
    StageError
        ``no_platform`` if there is neither, ``platform_unsupported`` for other kinds.
    """
    dsn = os.environ.get(DSN_VARIABLE, "")
    if not dsn and embedded is not None:
        return f"sqlite:///{embedded.resolve()}"
    if not dsn:
        raise StageError(
            "no_platform",
            f"There is no platform to work with: set {DSN_VARIABLE} or choose a profile that"
            " names one.",
        )
    dsn = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", dsn)
    if not dsn.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise StageError(
            "platform_unsupported",
            "The platform's address is not one of SQLite (sqlite:////path/file.db) or PostgreSQL"
            " (postgresql://user@host/database).",
        )
    return dsn


def engine(dsn: str, wait: float = CONNECT_SECONDS) -> sa.Engine:
    """Make an engine whose transactions are real ones on SQLite too.

    Parameters
    ----------
    dsn : str
        The address.
    wait : float
        Seconds to wait for a lock on an SQLite file.
    """
    sqlite = dsn.startswith("sqlite")
    arguments = {"timeout": wait} if sqlite else {"connect_timeout": CONNECT_SECONDS}
    made = sa.create_engine(
        dsn, poolclass=sa.NullPool, max_identifier_length=63, connect_args=arguments
    )
    if sqlite:
        # Python's sqlite3 would begin transactions by itself, and too late
        sa.event.listen(made, "connect", lambda raw, _: setattr(raw, "isolation_level", None))
        sa.event.listen(made, "begin", _begin)
    return made


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextlib.contextmanager
def explained(dsn: str) -> Iterator[None]:
    """Turn what goes wrong with the database inside the block into errors for a person."""
    try:
        yield
    except StageError:
        raise
    except Exception as error:
        cause = database_error(error)
        if cause is None:
            raise
        raise _explain(dsn, cause) from error


def database_error(error: BaseException | None) -> exc.DBAPIError | None:
    """Find what the database said behind an error: ixmp4 wraps it."""
    while error is not None and not isinstance(error, exc.DBAPIError):
        error = error.__cause__ or error.__context__
    return error


def conflicts(error: BaseException) -> bool:
    """Tell whether an error comes from two transactions at once: deadlock or serialization."""
    cause = database_error(error)
    return getattr(getattr(cause, "orig", None), "sqlstate", None) in ("40001", "40P01")


def reached(dsn: str, wait: float | None = None) -> None:
    """Make sure that a database server answers; try again for a while if it does not.

    Parameters
    ----------
    dsn : str
        The address. A file is there or not: it is not waited for.
    wait : float, optional
        Seconds; `stagekit.patience.platform_wait` if not given.

    Raises
    ------
    sqlalchemy.exc.OperationalError
        If it cannot be reached in that time, or at once if it refuses.
    """
    made = engine(dsn)
    if made.dialect.name != "sqlite":
        patience.keep_trying(lambda: made.connect().close(), _unanswered, wait)


def _unanswered(error: Exception) -> bool:
    return isinstance(error, exc.OperationalError) and patience.unanswered(str(error.orig))


def ready(dsn: str, embedded: bool) -> None:
    """Make sure that the platform can be used: create or upgrade the embedded one, else check.

    A server that does not answer is tried again for a while, see `reached`.

    Raises
    ------
    StageError
        If it cannot be reached, is not there, or its tables are of another ixmp4 version.
    """
    url = sa.make_url(dsn)
    if embedded:
        _ready_embedded(Path(str(url.database)), dsn)
    elif url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise StageError("platform_missing", f"There is no platform file {url.database}.")
    with explained(dsn):
        reached(dsn)
        found = revision(engine(dsn))
    if found is None:
        raise StageError(
            "platform_revision", f"{shown(dsn)} is no ixmp4 platform: it has no table of versions."
        )
    if found not in heads():
        raise StageError(
            "platform_revision",
            f"The tables of {shown(dsn)} are at revision {found}; this ixmp4 needs"
            f" {' or '.join(sorted(heads()))}. Upgrade the platform (ixmp4 alembic upgrade), or"
            " use the ixmp4 version that it was made with.",
        )


def revision(made: sa.Engine) -> str | None:
    """Give the revision of a platform's tables, None if it has none."""
    with made.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def names(made: sa.Engine) -> PlatformNames:
    """Give the regions and units of a platform."""
    with made.connect() as connection:
        regions = connection.execute(sa.text("SELECT name FROM region")).scalars().all()
        units = connection.execute(sa.text("SELECT name FROM unit")).scalars().all()
    return PlatformNames(frozenset(regions), frozenset(units))


def check_rights(made: sa.Engine, dsn: str, tables: Sequence[str] = WRITTEN) -> None:
    """Make sure that `tables` may be written, which are by default those of an import.

    Raises
    ------
    StageError
        ``platform_rights`` if not.
    """
    if made.dialect.name == "sqlite":
        file = Path(str(made.url.database))
        writable = os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
        missing = [] if writable else [str(file)]
    else:
        ask = sa.text("SELECT has_table_privilege(:name, 'INSERT')")
        with made.connect() as connection:
            missing = [n for n in tables if not connection.execute(ask, {"name": n}).scalar()]
    if missing:
        raise StageError(
            "platform_rights",
            f"The user of {shown(dsn)} may only read: writing is not allowed to"
            f" {', '.join(str(name) for name in missing)}.",
        )


def heads() -> set[str]:
    """Give the newest revisions that the installed ixmp4 knows, without importing it."""
    spec = importlib.util.find_spec("ixmp4")
    assert spec is not None
    assert spec.origin is not None
    known: set[str] = set()
    older: set[str] = set()
    for script in Path(spec.origin).parent.glob("db/migrations/versions/*.py"):
        for down, name in _REVISION.findall(script.read_text(encoding="utf-8")):
            (older if down else known).add(name)
    return known - older


def shown(dsn: str) -> str:
    """Name a platform without its credentials."""
    url = sa.make_url(dsn)
    if url.get_backend_name() == "sqlite":
        return f"the platform {url.database}"
    host = url.host or url.query.get("host", "localhost")
    return f"the platform database {url.database} on {host}"


def _ready_embedded(path: Path, dsn: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        opened = path.with_name(path.name + ".lock").open("w")
    except OSError as error:
        if error.errno in _READ_ONLY and path.is_file():
            return  # it may only be read: nothing can be made of it, and its tables are looked at
        raise
    with opened as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two jobs that start together build it once
        if not path.is_file():
            beside = path.with_name(f".{path.name}.new")
            for left in (beside, beside.with_name(beside.name + "-journal")):
                left.unlink(missing_ok=True)  # of a creation that was killed
            print(f"creating the platform {path}", flush=True)
            _upgrade(f"sqlite:///{beside}")
            beside.replace(path)
            return
        with explained(dsn):
            found = revision(engine(dsn))
            if found not in heads():
                print(f"upgrading the platform {path} from revision {found}", flush=True)
                _upgrade(dsn)


def _upgrade(dsn: str) -> None:
    from ixmp4.db import get_alembic_controller

    get_alembic_controller(dsn).upgrade_database("head")


def _explain(dsn: str, error: exc.DBAPIError) -> StageError:  # noqa: PLR0911
    text = redact(str(error.orig)).strip()
    state = getattr(error.orig, "sqlstate", None) or ""
    name = shown(dsn)
    if state == "42501" or "permission denied" in text or "readonly database" in text:
        return StageError(
            "platform_rights", f"The user of {name} may not do this: {_first_line(text)}"
        )
    if state.startswith("28") or re.search("authentication failed|no password|pg_hba", text):
        return StageError(
            "platform_login",
            f"{name[0].upper()}{name[1:]} refuses the login: check user and password of the"
            " profile.",
        )
    if state == "3D000" or re.search(r'database ".*" does not exist', text):
        return StageError("platform_missing", f"There is no {name.removeprefix('the ')}.")
    if state == "55P03" or "database is locked" in text:
        return StageError(
            "platform_busy",
            f"{name[0].upper()}{name[1:]} is being written to by somebody else, and did not"
            " become free in time. Continue the job later.",
        )
    if isinstance(error.orig, sqlite3.Error) and "disk is full" in text:
        return StageError("disk_full", f"The disk is full while writing {name}.")
    if isinstance(error, exc.OperationalError) and not state:
        return StageError(
            "platform_unreachable", f"{name[0].upper()}{name[1:]} cannot be reached: {text}"
        )
    return StageError("platform_failed", f"{name[0].upper()}{name[1:]} failed: {text}")


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
