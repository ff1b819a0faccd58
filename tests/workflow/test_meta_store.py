"""Indicators are stored as asked: all or nothing, once, with their types, on both databases."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql import Server
from tests.workflow.meta_case import HAD, MetaJob, script

ONE = {"model": "A", "scenario": "one"}
TYPED: dict[str, Any] = {
    "whole": 7, "number": 7.0, "text": "7", "yes": True, "no": False, "zero": 0, "exact": 0.1,
    "large": 2**31 - 1, "small": -(2**31), "huge": 1.7e308, "umlaut": "Größe ✓", "x": 1, "n": True,
}  # fmt: skip

# what ixmp4's own API does, one run at a time, to compare with
BY_IXMP4 = """
import sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
run = p.runs.get("A", "one")
with run.transact("by ixmp4"):
    run.meta["Category"] = "C9"
    del run.meta["x"]
    run.meta["new"] = 2.5
"""
FAIL = """
import sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
run = p.runs.get("A", "one")
try:
    with run.transact("fails"):
        run.meta["Category"] = "half done"
        del run.meta["new"]
        raise RuntimeError
except RuntimeError:
    pass
"""


def test_merging_sets_what_is_given_and_leaves_the_rest(meta_job: MetaJob) -> None:
    new = {"model": "B", "scenario": "one", "y": 0.1}
    meta_job.records({**ONE, "Category": "C3", "new": True}, new)
    before = meta_job.platform
    meta_job.both()
    assert meta_job.platform == {
        **before,
        "A / one / 1": {**HAD, "Category": "C3", "new": True},
        "B / one / 1": {"y": 0.1},
    }
    assert meta_job.stored["runs"] == [
        {"id": 1, "model": "A", "scenario": "one", "version": 1, "changes": 2},
        {"id": 6, "model": "B", "scenario": "one", "version": 1, "changes": 1},
    ]
    counts = {kind: meta_job.stored[kind] for kind in ("added", "changed", "removed")}
    assert counts == {"added": 2, "changed": 1, "removed": 0}


def test_replacing_leaves_exactly_what_is_given_of_the_runs_in_the_file(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "n": 1, "new": "x"}, {"model": "A", "scenario": "two"})
    before = meta_job.platform
    meta_job.both("replace")
    found = {"A / one / 1": {"n": 1, "new": "x"}, "A / two / 2": {}}
    assert meta_job.platform == {**before, **found}


def test_removing_takes_away_what_is_marked(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "x": "any", "ok": False, "n": None, "absent": "x"})
    before = meta_job.platform
    meta_job.both("remove")
    assert meta_job.platform == {**before, "A / one / 1": {"Category": "C1", "n": 1}}
    [warning] = meta_job.problems
    assert (warning["code"], warning["severity"]) == ("indicator_absent", "warning")


def test_a_version_that_is_not_the_default_one_can_be_meant(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "version": 2, "a": 1}, {**ONE, "a": 2})
    meta_job.both()
    found = meta_job.platform
    assert (found["A / one / 2"], found["A / one / 1"]) == (
        {"Category": "old", "a": 1},
        {**HAD, "a": 2},
    )


def test_every_type_comes_back_as_it_was_given(meta_job: MetaJob) -> None:
    found = meta_job.records({**ONE, **TYPED}).both("replace").platform["A / one / 1"]
    assert found == TYPED
    assert {k: type(v) for k, v in found.items()} == {k: type(v) for k, v in TYPED.items()}


def test_the_next_job_with_the_same_file_finds_nothing_to_do(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, **TYPED}).both()
    meta_job.name = "job-2"
    meta_job.both()
    assert meta_job.changes == []
    assert meta_job.stored["runs"] == []


def test_a_store_that_is_started_again_stores_once(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "Category": "C3"}).both()
    (meta_job.results / "stored.json").unlink()  # killed after its commit
    after = meta_job.store()
    assert (after.returncode, "stored already" in after.stdout) == (0, True), after.stderr
    assert meta_job.stored["changed"] == 1
    assert len(_checkpoints(meta_job)) == 1


def _checkpoints(job: MetaJob) -> list[str]:
    code = (
        "import json, sys, ixmp4; from ixmp4.transport import DirectTransport as T;"
        "p = ixmp4.Platform(T.from_dsn(sys.argv[1]));"
        "print(json.dumps([*p.runs.get('A', 'one').checkpoints.tabulate()['message']]))"
    )
    found: list[str] = script(job.python, job.folder, code, job.dsn)
    return [message for message in found if message.startswith("jobrunner job=job-1 meta=")]


@pytest.mark.parametrize("moment", ["storing", "committing"])
def test_a_killed_store_leaves_nothing_and_is_continued(
    meta_job: MetaJob, ixmp4_python: Path, moment: str
) -> None:
    meta_job.records({**ONE, "Category": "C3"}, {"model": "B", "scenario": "one", "y": 1})
    before = meta_job.platform
    assert meta_job.check().returncode == 0
    process = subprocess.Popen(
        [ixmp4_python, *_stopping(meta_job, moment)], env=meta_job.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while not said.startswith(moment):
        said = process.stdout.readline()
        assert said, "it ended before"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert meta_job.platform == before
    assert not (meta_job.results / "stored.json").exists()
    assert meta_job.store().returncode == 0
    assert meta_job.platform["A / one / 1"] == {**HAD, "Category": "C3"}
    assert meta_job.platform["B / one / 1"] == {"y": 1}


def _stopping(job: MetaJob, moment: str) -> list[str]:
    """Give the command of stage store, which stops itself right after it has printed `moment`."""
    code = (
        "import builtins, os, runpy, signal, sys; said = print\n"
        "def stop(*words, **options):\n"
        "    said(*words, **options)\n"
        f"    if str(words[0]).startswith({moment!r}): os.kill(os.getpid(), signal.SIGSTOP)\n"
        "builtins.print = stop; sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    return ["-c", code, *job.command("store")]


def test_a_platform_that_changed_since_the_diff_is_not_written(meta_job: MetaJob) -> None:
    meta_job.records({**ONE, "Category": "C3"}, {"model": "B", "scenario": "one", "y": 1})
    assert meta_job.check().returncode == 0
    script(meta_job.python, meta_job.folder, BY_IXMP4, meta_job.dsn)
    before = meta_job.platform
    assert meta_job.store().returncode == 1
    assert meta_job.error["code"] == "platform_changed"
    assert "A / one: Category" in meta_job.error["message"]
    assert meta_job.platform == before
    meta_job.both()
    assert meta_job.platform["A / one / 1"]["Category"] == "C3"


def test_a_new_default_version_counts_as_a_change(meta_job: MetaJob) -> None:
    code = (
        "import sys, ixmp4; from ixmp4.transport import DirectTransport as T;"
        "p = ixmp4.Platform(T.from_dsn(sys.argv[1])); p.runs.get('A', 'one', 2).set_as_default()"
    )
    assert meta_job.records({**ONE, "Category": "C3"}).check().returncode == 0
    script(meta_job.python, meta_job.folder, code, meta_job.dsn)
    assert meta_job.store().returncode == 1
    assert meta_job.error["code"] == "platform_changed"


def test_a_run_that_somebody_is_working_on_is_left_alone(meta_job: MetaJob) -> None:
    code = (
        "import sys, ixmp4; from ixmp4.transport import DirectTransport as T;"
        "p = ixmp4.Platform(T.from_dsn(sys.argv[1])); p.backend.runs.lock(1)"
    )
    assert meta_job.records({**ONE, "Category": "C3"}).check().returncode == 0
    script(meta_job.python, meta_job.folder, code, meta_job.dsn)
    assert meta_job.store().returncode == 1
    assert meta_job.error["code"] == "run_locked"
    assert "A / one version 1" in meta_job.error["message"]
    assert meta_job.platform["A / one / 1"] == HAD


def test_versions_and_checkpoints_are_what_ixmp4_would_have_written(
    postgres: Server, postgres_job: MetaJob
) -> None:
    """The rows in the tables of versions, but for numbers; then ixmp4 can go back to them."""
    versions = (
        "SELECT key, dtype, value_str, value_float, operation_type, end_transaction_id IS NULL"
        " FROM runmetaentry_version WHERE transaction_id > %s ORDER BY key, operation_type"
    )

    def newest() -> Any:
        return postgres.sql("indicators", "SELECT max(id) FROM transaction")[0][0]

    def restore() -> None:
        postgres_job.records({**ONE, **HAD}).both("replace")

    start = newest()
    script(postgres_job.python, postgres_job.folder, BY_IXMP4, postgres_job.dsn)
    theirs = postgres.sql("indicators", versions.replace("%s", str(start)))
    restore()
    start = newest()
    wanted = {**HAD, "Category": "C9", "new": 2.5}
    wanted.pop("x")
    postgres_job.records({**ONE, **wanted}).both("replace")
    assert postgres.sql("indicators", versions.replace("%s", str(start))) == theirs
    [[point]] = postgres.sql(
        "indicators", "SELECT transaction__id FROM checkpoint ORDER BY id DESC LIMIT 1"
    )
    assert point == newest()
    script(postgres_job.python, postgres_job.folder, FAIL, postgres_job.dsn)
    assert postgres_job.platform["A / one / 1"] == wanted, "ixmp4 could not go back to our state"


def test_many_indicators_take_few_statements(postgres: Server, postgres_job: MetaJob) -> None:
    postgres.sql(
        "indicators",
        "INSERT INTO scenario (name) SELECT 's' || i FROM generate_series(1, 2000) i",
        "INSERT INTO run (model__id, scenario__id, version, is_default)"
        " SELECT 1, id, 1, true FROM scenario WHERE name ~ '^s[0-9]+$'",
    )
    values = {f"indicator {k}": k + 0.5 for k in range(3)}
    records = [{"model": "A", "scenario": f"s{i}", **values} for i in range(1, 2001)]
    [[before]] = postgres.sql("indicators", "SELECT count(*) FROM transaction")
    postgres_job.records(*records).both()
    assert postgres.sql("indicators", "SELECT count(*) FROM runmetaentry WHERE value_float > 0.4")[
        0
    ] == (6001,)
    [[after]] = postgres.sql("indicators", "SELECT count(*) FROM transaction")
    assert after - before <= 6, "one row of `transaction` for each statement"
