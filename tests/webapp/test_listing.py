"""Lists of jobs: every page, order and filter against a plain sort in Python, on both databases."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, insert

from benchmarks import list_jobs
from runner.errors import InvalidRequest
from runner.jobdir import id_at
from webapp import listing
from webapp.db import Database
from webapp.listing import Filters, Order, paging
from webapp.models import STATUSES, Job, JobCount, JobWord
from webapp.words import words

TIMES = [f"2026-11-22T14:00:0{second}.000Z" for second in range(4)]
START = 1_795_356_000_000  # 2026-11-22T14:00:00Z
_USERS, _TAGS, _TYPES = ("jane", "janet", "joe"), ("a", "b", "a.b"), ("toy", "import_toys")

rows = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(_TYPES),
            "version": st.sampled_from(("1", "2")),
            "instance": st.sampled_from(("one", "two", "three")),
            "user": st.sampled_from(_USERS),
            "parent": st.sampled_from((None, "P")),
            "status": st.sampled_from(STATUSES),
            "priority": st.integers(-2, 2),
            "second": st.integers(0, 3),
            "started": st.sampled_from((None, *TIMES)),
            "finished": st.sampled_from((None, *TIMES)),
            "tags": st.lists(st.sampled_from(_TAGS), max_size=2, unique=True),
        }
    ),
    min_size=10,
    max_size=25,
)
# Few filters at once, or most lists would be empty.
filters = st.lists(
    st.one_of(
        st.tuples(st.just(name), values)
        for name, values in {
            "type": st.sampled_from(_TYPES),
            "version": st.sampled_from(("1", "3")),
            "status": st.lists(st.sampled_from(STATUSES), max_size=4).map(tuple),
            "user": st.sampled_from(_USERS),
            "instance": st.sampled_from(("one", "two")),
            "tag": st.sampled_from(_TAGS),
            "parent": st.just("P"),
            "text": st.sampled_from(("jan", "JANE", "to imp", "import_toys", "a.b", "-", "x")),
            "submitted_after": st.sampled_from(TIMES),
            "submitted_before": st.sampled_from(TIMES),
            "started_after": st.sampled_from(TIMES),
            "finished_before": st.sampled_from(TIMES),
            "visible": st.sampled_from(((), ("one",), ("one", "three"))),
        }.items()
    ),
    max_size=3,
).map(lambda pairs: Filters(**dict(pairs)))
orders = st.builds(Order, st.sampled_from(listing.SORTS), st.booleans())


def _add(database: Database, found: list[dict[str, Any]], first: int) -> list[dict[str, Any]]:
    """Write rows; ids go up with the second of submission, as those of real jobs."""
    made, counts = [], Counter[tuple[str, str, str]]()
    for n, given_row in enumerate(found, first):
        row = dict(given_row)
        second = row.pop("second")
        row |= {"id": id_at(START + 1000 * second + n), "submitted": TIMES[second]}
        row |= {"digest": "d", "profile": "p", "pool": "q", "directory": "x"}
        made.append(row)
        counts[row["instance"], row["type"], row["status"]] += 1
    with database.write() as session:
        if not made:
            return []
        session.execute(insert(Job), made)
        named = [("tag", tag, row["id"]) for row in made for tag in row["tags"]]
        for row in made:
            texts = words(" ".join([row["id"], row["type"], row["user"], *row["tags"]]))
            named += [("text", word, row["id"]) for word in texts]
        session.execute(
            insert(JobWord), [dict(zip(("kind", "word", "job_id"), n, strict=True)) for n in named]
        )
        for (instance, job_type, status), number in counts.items():
            kept = session.get(JobCount, (instance, job_type, status))
            if kept is None:
                kept = JobCount(instance=instance, type=job_type, status=status, number=0)
                session.add(kept)
            kept.number += number
    return made


def _fits(row: dict[str, Any], f: Filters) -> bool:
    """The meaning of all filters, in plain Python."""
    own = words(" ".join([row["id"], row["type"], row["user"], *row["tags"]]))
    asked = [part for text in (f.text or "").lower().split() for part in _parts(text)]
    same = all(
        getattr(f, name) in (None, row[name])
        for name in ("type", "version", "user", "instance", "parent")
    )
    return (
        same
        and (not f.status or row["status"] in f.status)
        and (f.visible is None or row["instance"] in f.visible)
        and (f.tag is None or f.tag in row["tags"])
        and all(any(word.startswith(part) for word in own) for part in asked)
        and (f.submitted_after is None or row["submitted"] >= f.submitted_after)
        and (f.submitted_before is None or row["submitted"] < f.submitted_before)
        and (f.started_after is None or (row["started"] or "") >= f.started_after)
        and (f.finished_before is None or "" < (row["finished"] or "") < f.finished_before)
    )


def _parts(text: str) -> list[str]:
    for separator in "_.-":
        text = text.replace(separator, " ")
    return text.split()


def _key(row: Any, order: Order) -> tuple[Any, str]:
    get = row.get if isinstance(row, dict) else lambda name: getattr(row, name)
    first = {"submitted": 0, "priority": get("priority")}
    return first.get(order.by, get(order.by) or ""), get("id")


@pytest.fixture(params=[(0, 24), (3, 1), (1000, 24)], ids=["walk", "some", "few"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to make a page, although the database is small."""
    monkeypatch.setattr(paging, "FEW", request.param[0])
    monkeypatch.setattr(paging, "_MOST_BRANCHES", request.param[1])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(old=rows, new=st.lists(rows, max_size=2), f=filters, order=orders, limit=st.integers(1, 7))
def test_pages_give_each_job_once_in_order_while_others_are_added(
    database: Database, plan: None, old: Any, new: Any, f: Filters, order: Order, limit: int
) -> None:
    with database.write() as session:
        session.execute(delete(JobWord))
        session.execute(delete(Job))
        session.execute(delete(JobCount))
    there = _add(database, old, 0)
    expected = sorted(
        (row for row in there if _fits(row, f)),
        key=lambda row: _key(row, order),
        reverse=order.descending,
    )
    with database.read() as session:
        counts = listing.counts(session, f)
    if counts is not None:
        alike = replace(f, status=())
        assert counts == {s: 0 for s in STATUSES} | Counter(
            row["status"] for row in there if _fits(row, alike)
        )
    known, found, cursor, number = {row["id"] for row in there}, [], None, len(there)
    while True:
        with database.read() as session:
            page = listing.page(session, f, order, limit, cursor)
        assert len(page.jobs) <= limit
        found += page.jobs
        cursor = page.next
        if cursor is None:
            break
        if new:
            number += len(_add(database, new.pop(), number))
    assert [job.id for job in found if job.id in known] == [row["id"] for row in expected]
    keys = [_key(job, order) for job in found]
    assert keys == sorted(keys, reverse=order.descending)
    assert len(set(keys)) == len(keys)


def test_an_export_gives_what_the_pages_give(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(paging, "_EXPORTED", 7)
    row = {"type": "toy", "version": "1", "instance": "one", "user": "jane", "parent": None}
    row |= {"status": "queued", "priority": 0, "started": None, "finished": None, "tags": []}
    made = _add(database, [row | {"second": n % 4} for n in range(30)], 0)
    order = Order("submitted", False)
    ids = [job.id for job in listing.every(database, Filters(), order)]
    assert ids == sorted(row["id"] for row in made)
    with database.read() as session:
        middle = listing.page(session, Filters(), order, 11).next
    assert [job.id for job in listing.every(database, Filters(), order, middle)] == ids[11:]


@pytest.mark.parametrize(
    "cursor",
    ["x", "!", "é", "W10", "bnVsbA", "[" * 400, Order("started").cursor(Job(id="A", started="2"))],
)
def test_a_wrong_cursor_is_refused_with_its_place(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Order().mark(cursor)
    assert [problem["pointer"] for problem in caught.value.problems] == ["/cursor"]


@pytest.mark.parametrize("value", [[], {}, "x", 1.5, True, 2**40, None])
def test_a_forged_cursor_never_reaches_the_database(value: Any) -> None:
    import base64

    for order in (Order("priority"), Order("started"), Order()):
        for identifier in (None, 1, "\0", "\ud800", []):
            text = json.dumps([str(order), value, identifier])
            with pytest.raises(InvalidRequest):
                order.mark(base64.urlsafe_b64encode(text.encode()).decode())


def test_an_order_is_read_as_it_is_written() -> None:
    assert Order.parse(None) == Order.parse("-submitted") == Order("submitted", True)
    assert str(Order.parse("finished")) == "finished"
    with pytest.raises(InvalidRequest) as caught:
        Order.parse("colour")
    assert "priority" in caught.value.message


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("2026-11-22T14:00:00Z", "2026-11-22T14:00:00.000Z"),
        ("2026-11-22t16:00:00.5+02:00", "2026-11-22T14:00:00.500Z"),
        ("2026-11-22T16:00:00 02:00", "2026-11-22T14:00:00.000Z"),  # a + in a URL
        ("2026-11-22", "2026-11-22T00:00:00.000Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_compared_in_utc(given_text: str, expected: str) -> None:
    assert listing.moment(given_text) == expected


@pytest.mark.parametrize("text", ["", "now", "2026-W01", "20261122", "2026-13-01", "2026-11-22T9"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no time|must be|out of range"):
        listing.moment(text)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Database]]:
    """The databases of the benchmark: the same kinds of jobs, few and many of each."""
    folder = tmp_path_factory.mktemp("sizes")
    found = {}
    for number in (1_000, 20_000):
        found[number] = Database(f"sqlite:///{folder}/{number}.db")
        list_jobs.fill(found[number], number)
    yield found
    for database in found.values():
        database.engine.dispose()


PAGES = {
    "plain": (Filters(), None),
    "instance and status": (Filters(instance="beta", status=("failed",)), None),
    "statuses": (Filters(status=("failed", "cancelled")), None),
    "waiting": (Filters(status=("queued", "running")), "-priority"),
    "visible": (Filters(visible=("alpha", "beta")), None),
    "user": (Filters(user="user-3"), None),
    "user in an instance": (Filters(user="user-3", visible=("beta",)), None),
    "rare user": (Filters(user="rare", visible=("alpha", "beta")), None),
    "rare user of a version": (Filters(user="rare", version="1"), None),
    "rare user of a type": (Filters(user="rare", type="import_timeseries"), None),
    "tag": (Filters(tag="tag-1"), None),
    "tag in an instance": (Filters(tag="tag-1", visible=("beta",)), None),
    "rare tag": (Filters(tag="rare"), None),
    "text": (Filters(text="import user-4"), None),
    "finished": (Filters(instance="beta"), "-finished"),
    "old": (Filters(submitted_before="2026-03-01T00:00:00.000Z"), None),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_no_more_work_among_many_jobs(
    sizes: dict[int, Database], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "FEW", 20)
    work = {number: _work(database, *PAGES[name]) for number, database in sizes.items()}
    assert work[20_000] < 1.5 * work[1_000] + 1_000, work


def _work(database: Database, f: Filters, sort: str | None) -> int:
    """Steps of SQLite's machine for a page and its counts."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    def listen(connection: sqlite3.Connection, *_: Any) -> None:
        connection.set_progress_handler(count, 100)

    event.listen(database.engine, "checkout", listen)
    try:
        with database.read() as session:
            assert listing.page(session, f, Order.parse(sort), 50).jobs
            listing.counts(session, f)
            session.connection().connection.set_progress_handler(None, 0)
    finally:
        event.remove(database.engine, "checkout", listen)
    return steps


def test_ids_sort_on_postgresql_as_in_python(database: Database, tmp_path: Path) -> None:
    """Whatever the locale of the server is: cursors and time ranges depend on it."""
    names = ["01KAN7Q3ZD", "01KAN7Q3ZD.meta", "01KAN7Q3ZE", "01KAN7Q3ZDa"]
    row = {"type": "t", "version": "1", "instance": "one", "user": "u", "status": "queued"}
    row |= {"digest": "d", "profile": "p", "pool": "q", "directory": "x", "submitted": TIMES[0]}
    with database.write() as session:
        session.execute(insert(Job), [row | {"id": name, "tags": []} for name in names])
    found = [job.id for job in listing.every(database, Filters(), Order("submitted", False))]
    assert found == sorted(names)
