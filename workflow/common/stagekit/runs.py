"""Writing runs to an ixmp4 platform: all of a job in one transaction, and never twice.

ixmp4 commits after every step. Here its session is joined to a transaction of ours, so that these
commits only release savepoints: a job that ends early, for whatever reason, leaves nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ixmp4
import pandas as pd
import sqlalchemy as sa
from ixmp4.core.exceptions import NotUnique
from ixmp4.data.checkpoint.db import Checkpoint
from ixmp4.data.run.db import Run
from ixmp4.transport import DirectTransport
from sqlalchemy import orm

from stagekit import bulk, platform
from stagekit.transactions import transaction

Pair = tuple[str, str]
Meta = Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """A run as it was stored."""

    id: int
    version: int


def digest(data: pd.DataFrame, meta: Mapping[Pair, Meta]) -> str:
    """Give a digest of what is to be stored, independent of how the files were written."""
    hashed = hashlib.sha256("\0".join(data.columns).encode())
    ordered = data.sort_values([c for c in data.columns if c != "value"], kind="stable")
    hashed.update(pd.util.hash_pandas_object(ordered, index=False).to_numpy().tobytes())
    entries = [[*pair, sorted(values.items())] for pair, values in sorted(meta.items())]
    hashed.update(json.dumps(entries).encode())
    return hashed.hexdigest()


@contextlib.contextmanager
def writing(engine: sa.Engine, wait: float) -> Iterator[ixmp4.Platform]:
    """Open a platform for writing; everything is committed at the end of the block, or nothing.

    Imports into one platform follow each other, see `stagekit.transactions`.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        From `stagekit.platform.engine`.
    wait : float
        Seconds to wait for somebody else's import.

    Raises
    ------
    StageError
        ``platform_busy`` if another import takes longer than that.
    """
    with transaction(engine, wait) as connection:
        if engine.dialect.name == "postgresql":
            bulk.copy_datapoints(engine)
        session = orm.Session(
            bind=connection, autoflush=False, join_transaction_mode="create_savepoint"
        )
        transport = DirectTransport(session, ping_database=False, check_alembic_version=False)
        target = ixmp4.Platform(transport)
        _insert_only(target)
        yield target
        session.close()


def stored(target: ixmp4.Platform, marker: str) -> dict[Pair, Stored]:
    """Find the runs that carry `marker` as a checkpoint."""
    query = (
        sa.select(Run)
        .join(Checkpoint, Checkpoint.run__id == Run.id)
        .where(Checkpoint.message == marker)
        .order_by(Run.id)
    )
    runs = session(target).execute(query).scalars().all()
    return {(r.model.name, r.scenario.name): Stored(r.id, r.version) for r in runs}


def create_names(
    target: ixmp4.Platform, regions: list[str], units: list[str]
) -> dict[str, list[str]]:
    """Create the regions and units that the platform does not have, and give those created."""
    known_regions = {region.name for region in target.regions.list()}
    known_units = {unit.name for unit in target.units.list()}
    created: dict[str, list[str]] = {"regions": [], "units": []}
    for name in regions:
        if name not in known_regions:
            target.regions.create(name, "common")
            created["regions"].append(name)
    for name in units:
        if name not in known_units:
            target.units.create(name)
            created["units"].append(name)
    return created


def write(
    target: ixmp4.Platform, pair: Pair, data: pd.DataFrame, meta: Meta, marker: str
) -> Stored:
    """Store one run as a new default version.

    Parameters
    ----------
    target : ixmp4.Platform
        From `writing`.
    pair : tuple of str
        Model and scenario.
    data : pandas.DataFrame
        region, variable, unit, value and year, year and subannual, or time (naive, UTC).
    meta : mapping
        The indicators, as plain Python values.
    marker : str
        Message of the checkpoint.
    """
    failure: Exception | None = None
    run = target.runs.create(*pair)
    try:
        with run.transact(marker):
            try:
                run.iamc.add(_typed(data))
                run.meta = dict(meta)
                run.set_as_default()
            except Exception as error:  # ixmp4 would revert first, and hide it if that fails
                failure = error
    except Exception as error:
        raise (failure or error) from None
    if failure is not None:
        raise failure
    return Stored(run.id, run.version)


def retried(attempt: Callable[[], Any], tries: int = 3) -> Any:
    """Try again if somebody other than us wrote the same names or versions at the same time."""
    for left in range(tries - 1, -1, -1):
        try:
            return attempt()
        except Exception as error:
            if left == 0 or not (isinstance(error, NotUnique) or platform.conflicts(error)):
                raise
            print(f"somebody else wrote at the same time ({error}); trying again", flush=True)
    raise AssertionError("unreachable")


def _insert_only(target: ixmp4.Platform) -> None:
    """Let ixmp4 insert at once: it would look for each row first, and a new run has none.

    This halves the time of an import; VERIFY has made sure that there are no duplicates.
    """
    for service in (target.backend.iamc.datapoints, target.backend.iamc.timeseries):
        repository = service.pandas
        repository.upsert = _inserting(repository)


def _inserting(repository: Any) -> Callable[..., None]:
    return lambda frame, key=None: repository.insert(frame)


def _typed(data: pd.DataFrame) -> pd.DataFrame:
    """Say of each datapoint which of ixmp4's types it is; subannual data may have annual ones."""
    if "time" in data.columns:
        return data.rename(columns={"time": "datetime"}).assign(type="DATETIME")
    if "subannual" not in data.columns:
        return data.assign(type="ANNUAL")
    kinds = data["subannual"].isna().map({True: "ANNUAL", False: "CATEGORICAL"})
    return data.assign(type=kinds)


def session(target: ixmp4.Platform) -> orm.Session:
    """Give the session of a platform from `writing`; its connection is in our transaction."""
    transport = target.backend.transport
    assert isinstance(transport, DirectTransport)
    found: orm.Session = transport.session
    return found
