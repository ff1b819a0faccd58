"""The regions and units of an ixmp4 platform, read straight from its database.

Importing ixmp4 takes four seconds, a query none. What is known here is the schema up to ixmp4 0.17:
its alembic revisions, and that the tables ``region`` and ``unit`` have a column ``name`` in each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from stagekit.patience import keep_trying, unanswered
from stagekit.problems import StageError
from stagekit.program import redact

CONNECT_TIMEOUT = 15  # seconds

KNOWN_REVISIONS = frozenset(
    {
        "081bbda6bb7b", "0b45de1602a6", "0d73f7467dab", "1e5554a164e6", "84b534bbc858",
        "86fd6ecaae8a", "87987b875e9b", "8b0797ebf42f", "8fd96526b04f", "914991d09f59",
        "9596778a8150", "97ba231770e2", "ad25c5b542c4", "ad8eabea98b9", "bc2e195788ba",
        "c29289ced488", "c71efc396d2b", "d66a8276ba0a", "da1fba23f206", "e189ffe6a65e",
        "fbda0eb90f37",
    }
)  # fmt: skip


@dataclass(frozen=True)
class PlatformNames:
    """What may be named on a platform.

    Attributes
    ----------
    regions, units : frozenset of str
        The names.
    """

    regions: frozenset[str]
    units: frozenset[str]


_Query = Callable[[str], Sequence[str]]


def read_names(dsn: str | None, embedded: Path | None) -> PlatformNames | None:
    """Read the names of a platform.

    Parameters
    ----------
    dsn : str or None
        Address as SQLAlchemy writes it (``postgresql+psycopg://…``, ``sqlite:////…``).
    embedded : Path or None
        The file of an embedded platform, if `dsn` is None. One that is not there has no names.

    Returns
    -------
    PlatformNames or None
        None if the platform's schema is not one of those known here, or it is behind HTTP.

    Raises
    ------
    StageError
        ``platform_unavailable`` if there is no address or nothing answers there.
    """
    if dsn is None and embedded is None:
        message = "No platform is given: set its address in the profile, or name an embedded one."
        raise StageError("platform_unavailable", message)
    if dsn is None or dsn.startswith("sqlite"):
        return _from_sqlite(embedded if embedded and dsn is None else _sqlite_path(str(dsn)))
    if dsn.startswith(("http://", "https://")):
        return None
    return _from_postgresql(dsn)


def _sqlite_path(dsn: str) -> Path:
    return Path(unquote(dsn.partition("///")[2].partition("?")[0]))


def _from_sqlite(path: Path) -> PlatformNames | None:
    if not path.exists():
        return PlatformNames(frozenset(), frozenset())
    try:
        address = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=CONNECT_TIMEOUT)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            return _names(
                lambda query: [row[0] for row in connection.execute(query)],
                has_revision=("alembic_version",) in tables,
            )
    except sqlite3.Error as error:
        message = f"The embedded platform {path} cannot be read: {error}."
        raise StageError("platform_unavailable", message) from error


def _from_postgresql(dsn: str) -> PlatformNames | None:
    import psycopg  # only where there is such a platform

    scheme, _, rest = dsn.partition("://")
    address = f"{scheme.partition('+')[0]}://{rest}"
    try:
        with keep_trying(
            lambda: psycopg.connect(address, connect_timeout=CONNECT_TIMEOUT),
            lambda error: isinstance(error, psycopg.OperationalError) and unanswered(str(error)),
        ) as connection:
            connection.read_only = True
            found = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
            return _names(
                lambda query: [row[0] for row in connection.execute(query.encode())],
                has_revision=found is not None and found[0] is not None,
            )
    except psycopg.Error as error:
        said = str(error).strip().splitlines()
        message = f"The platform cannot be reached: {said[0] if said else type(error).__name__}"
        raise StageError("platform_unavailable", redact(message)) from None


def _names(query: _Query, *, has_revision: bool) -> PlatformNames | None:
    revisions = set(query("SELECT version_num FROM alembic_version")) if has_revision else set()
    if not revisions or not revisions <= KNOWN_REVISIONS:
        return None
    regions, units = query("SELECT name FROM region"), query("SELECT name FROM unit")
    return PlatformNames(frozenset(regions), frozenset(units))
