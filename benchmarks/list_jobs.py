"""``GET /jobs``: pages of 50 among a thousand, 100 thousand and a million jobs.

On SQLite and on PostgreSQL, in interleaved rounds: the request as the application answers it,
token, counts and JSON included. Rows are written straight into the databases. Kinds of jobs have
the same shares at every size, but one user and one tag, which have 60 jobs each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runner.jobdir import id_at  # noqa: E402
from tests.postgresql import Server, cluster, running  # noqa: E402
from webapp import migrate, tokens  # noqa: E402
from webapp.api import create_app  # noqa: E402
from webapp.db import Database  # noqa: E402
from webapp.models import Job, JobCount, JobWord  # noqa: E402
from webapp.service import Service  # noqa: E402
from webapp.settings import Settings  # noqa: E402

MOST = 2.0  # times the median among a thousand
YEAR = timedelta(days=365)
END = datetime(2026, 11, 22, tzinfo=UTC)
PAGES = {
    "plain": "",
    "instance and status": "?instance=beta&status=failed",
    "two statuses": "?status=failed&status=cancelled",
    "type of an instance": "?instance=alpha&type=toy",
    "user": "?user=user-3",
    "a rare user": "?user=rare",
    "tag": "?tag=tag-1",
    "a rare tag": "?tag=rare",
    "tag of an instance": "?tag=tag-1&instance=beta",
    "text": "?text=import+user-4",
    "a rare text": "?text=rare",
    "last finished": "?instance=beta&sort=-finished",
    "before": "?submitted_before=2026-03-01",
}


def rows(number: int) -> Iterator[tuple[dict[str, Any], list[tuple[str, str]]]]:
    """Give jobs, oldest first, with their words; spread over a year."""
    rare = set(range(0, number, max(1, number // 60))[:60])
    for n in range(number):
        moment = END - YEAR + YEAR * (n / number)
        day, stamp = moment.strftime("%Y/%m/%d"), _stamp(moment)
        identifier = id_at(int(moment.timestamp() * 1000) + n % 2)
        if number - n <= 20:  # the newest wait
            status, started, finished = "queued", None, None
        else:
            status = "failed" if n % 5 == 0 else "cancelled" if n % 11 == 0 else "succeeded"
            started, finished = _stamp(moment + timedelta(seconds=5)), None
            finished = _stamp(moment + timedelta(seconds=60 + n * 7919 % 600))
        job_type = "toy" if n % 2 else "import_timeseries"
        user = "rare" if n in rare else f"user-{n % 10}"
        tags = [f"tag-{n % 4}", *(["rare"] if n in rare else [])]
        words = {identifier.lower(), *job_type.split("_"), user, *user.split("-")}
        row = {
            "id": identifier, "type": job_type, "version": "1", "digest": "sha256:0",
            "instance": ("alpha", "beta", "gamma")[n % 3], "profile": "local", "pool": "default",
            "user": user, "directory": f"jobs/{day}/{identifier}", "status": status,
            "tags": json.dumps(tags), "submitted": stamp, "started": started,
            "finished": finished, "attempt": int(started is not None), "priority": n % 3 - 1,
        }  # fmt: skip
        yield row, [*(("tag", tag) for tag in tags), *(("text", word) for word in words)]


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fill(database: Database, number: int) -> None:
    """Write `number` jobs into an empty database."""
    migrate.upgrade(database)
    tables = Job.__table__, JobWord.__table__, JobCount.__table__
    indexes = [index for table in tables for index in table.indexes]
    for index in indexes:  # made anew below: that is quicker
        index.drop(database.engine)
    columns = [column.name for column in Job.__table__.columns]
    counts: dict[tuple[str, str, str], int] = {}

    def jobs() -> Iterator[tuple[Any, ...]]:
        defaults = _defaults()
        for row, _ in rows(number):
            key = row["instance"], row["type"], row["status"]
            counts[key] = counts.get(key, 0) + 1
            yield tuple((defaults | row)[name] for name in columns)

    words = ((*word, row["id"]) for row, found in rows(number) for word in found)
    _write(database, "jobs", columns, jobs())
    _write(database, "job_words", ["kind", "word", "job_id"], words)
    kept = ((*key, n) for key, n in counts.items())
    _write(database, "job_counts", ["instance", "type", "status", "number"], kept)
    for index in indexes:
        index.create(database.engine)
    if not database.is_sqlite:  # as autovacuum does by itself
        with database.engine.execution_options(
            isolation_level="AUTOCOMMIT"
        ).connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _defaults() -> dict[str, Any]:
    """Give what a new job has in each column."""
    found: dict[str, Any] = {}
    for column in Job.__table__.columns:
        value = column.default.arg if column.default is not None else None
        found[column.name] = json.dumps(value(None)) if callable(value) else value
    return found


def _write(
    database: Database, table: str, columns: list[str], values: Iterator[tuple[Any, ...]]
) -> None:
    names = ", ".join(f'"{name}"' for name in columns)
    connection = database.engine.raw_connection()
    cursor = connection.cursor()
    if database.is_sqlite:
        marks = ", ".join("?" * len(columns))
        cursor.execute("BEGIN IMMEDIATE")
        cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
        cursor.execute("COMMIT")
    else:
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in values:
                copy.write_row(row)
        connection.commit()
    connection.close()


def asking(url: str, home: Path) -> Callable[[str], float]:
    """Give a function that asks for a page and says how many seconds that took."""
    service = Service.open(Settings(home=home, database_url=url, redis_url=f"unix://{home}/none"))
    with service.db.write() as session:
        token = tokens.create(session, name="benchmark", role="admin")
    client = create_app(service).test_client()
    headers = {"Authorization": f"Bearer {token}"}

    def ask(query: str) -> float:
        start = time.perf_counter()
        answer = client.get(f"/api/v1/jobs{query}", headers=headers)
        seconds = time.perf_counter() - start
        assert answer.status_code == 200, answer.text
        assert len(answer.get_json()["items"]) == 50, query
        return seconds

    return ask


def prepare(stack: ExitStack, sizes: list[int]) -> dict[tuple[str, int], Callable[[str], float]]:
    """Make a database of each kind and size."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    server: Server = stack.enter_context(cluster())
    stack.enter_context(running(server))
    found = {}
    for size in sizes:
        server.sql("postgres", f"CREATE DATABASE jobs_{size}")
        urls = {"SQLite": f"sqlite:///{folder}/{size}.db", "PostgreSQL": server.dsn(f"jobs_{size}")}
        for backend, url in urls.items():
            start = time.perf_counter()
            fill(Database(url), size)
            print(f"{backend}: {size:,} jobs written in {time.perf_counter() - start:.0f} s")
            found[backend, size] = asking(url, folder / "home")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    args = parser.parse_args()
    missed = False
    with ExitStack() as stack:
        asked = prepare(stack, args.sizes)
        taken: dict[tuple[str, int, str], list[float]] = {}
        for _ in range(args.rounds + 1):  # the first warms up
            for name, query in PAGES.items():
                for (backend, size), ask in asked.items():
                    taken.setdefault((backend, size, name), []).append(ask(query))
        medians = {key: statistics.median(seconds[1:]) for key, seconds in taken.items()}
    print(f"medians of {args.rounds} rounds in ms, and the largest over the smallest size:")
    for backend in ("SQLite", "PostgreSQL"):
        for name in PAGES:
            found = [medians[backend, size, name] for size in args.sizes]
            ratio = found[-1] / found[0]
            missed |= ratio > MOST
            figures = " ".join(f"{1000 * seconds:8.1f}" for seconds in found)
            print(f"  {backend:<10} {name:<20} {figures}  {ratio:.2f}x (at most {MOST:g})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
