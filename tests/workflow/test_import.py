"""IMPORT keeps its promises on real platforms: equal data, all or nothing, exactly once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.postgresql import PASSWORD, Server
from tests.workflow.warm import Warm

SCRIPTS = Path(__file__).parents[2] / "workflow" / "import_timeseries" / "scripts"
KEYS = ["model", "scenario", "region", "variable", "unit"]

READ_BACK = """
import json, sys
import ixmp4
from ixmp4.transport import DirectTransport
p = ixmp4.Platform(DirectTransport.from_dsn(sys.argv[1]))
runs = p.runs.tabulate(default_only=False)
every = {"default_only": False}
data = p.iamc.tabulate(run=every) if len(runs) else runs
meta = p.meta.tabulate(run=every)
locked = p.runs.tabulate(default_only=False, include_internal_columns=True)["lock_transaction"]
print(json.dumps({
    "runs": runs.astype(object).to_dict("records"),
    "data": data.astype(object).where(data.notna(), None).to_dict("records"),
    "meta": [[r["model"], r["scenario"], r["version"], r["key"], r["value"]]
             for r in meta.astype(object).to_dict("records")],
    "locked": int(locked.notna().sum()) if len(runs) else 0,
    "regions": [r.name for r in p.regions.list()],
}, default=str))
"""


class Job:
    """The files of a job that has passed VERIFY, and the stage IMPORT."""

    def __init__(self, folder: Path, python: Warm, dsn: str, name: str = "job-1") -> None:
        self.folder, self.python, self.dsn, self.name = folder, python, dsn, name
        folder.mkdir(exist_ok=True)
        self.create: dict[str, list[str]] = {"regions": [], "units": []}

    def data(self, frame: pl.DataFrame, meta: list[dict[str, Any]] | None = None) -> Job:
        """Write the processed data; every region and unit is to be created."""
        self.frame = frame
        frame.write_parquet(self.folder / "processed.parquet")
        table = pl.DataFrame(meta) if meta else frame.select("model", "scenario").clear()
        table.write_parquet(self.folder / "meta.parquet")
        self.create = {
            "regions": frame["region"].unique().sort().to_list(),
            "units": frame["unit"].unique().sort().to_list(),
        }
        return self

    def command(self, *more: str) -> list[str]:
        """Give the command line of the stage."""
        (self.folder / "verified.json").write_text(json.dumps({"create": self.create}))
        f = self.folder
        return [
            str(SCRIPTS / "import_runs.py"), "--input", f"{f}/processed.parquet",
            "--meta", f"{f}/meta.parquet", "--verified", f"{f}/verified.json",
            "--output", f"{f}/import.json", "--job", self.name, "--create-names",
            "--error", f"{f}/error.json", *more,
        ]  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """Give the environment with the platform's address."""
        return {**os.environ, "JOBRUNNER_PLATFORM_DSN": self.dsn}

    def run(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Run the stage to its end."""
        return self.python.run(self.command(*more), self.environment)

    def start(self, python: Path, *more: str) -> subprocess.Popen[str]:
        """Start the stage as a process of its own."""
        return subprocess.Popen(
            [python, *self.command(*more)], env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    @property
    def result(self) -> Any:
        """Give ``import.json``."""
        return json.loads((self.folder / "import.json").read_text())

    @property
    def error(self) -> Any:
        """Give the error document."""
        return json.loads((self.folder / "error.json").read_text())

    def stored(self) -> Any:
        """Give what ixmp4's own tabulate reads."""
        script = self.folder / "read_back.py"
        script.write_text(READ_BACK)
        done = self.python.run([script, self.dsn])
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def annual(scenarios: int = 2, regions: int = 2, years: int = 3) -> pl.DataFrame:
    """Make data with values that need all digits."""
    rows = [
        ("model_a", f"scen_{s}", f"Region {r}", "Primary Energy", "EJ/yr", 2010 + 10 * y,
         (s + 1) / 3 + r * 0.1 + y)
        for s in range(scenarios) for r in range(regions) for y in range(years)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=[*KEYS, "year", "value"], orient="row")


def categorical() -> pl.DataFrame:
    """Make subannual data of which one datapoint is for the whole year."""
    rows = [
        ("m", "s", "World", "Price", "", "summer", 2020, 1.5),
        ("m", "s", "World", "Price", "", "winter", 2020, 2.5),
        ("m", "s", "World", "Price", "", None, 2020, 2.0),
    ]
    return pl.DataFrame(rows, schema=[*KEYS, "subannual", "year", "value"], orient="row")


def timed() -> pl.DataFrame:
    """Make hourly data."""
    rows = [("m", "s", "World", "Load", "GW", datetime(2020, 6, 1, h, 30), h / 7) for h in range(3)]
    return pl.DataFrame(rows, schema=[*KEYS, "time", "value"], orient="row")


META = [
    {"model": "model_a", "scenario": "scen_0", "Category": "C1", "n": 3, "x": 0.1, "exclude": True},
    {"model": "model_a", "scenario": "scen_1", "Category": None, "n": 4, "x": None,
     "exclude": False},
]  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def dsn(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty platform of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_platform')}"
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def job(tmp_path: Path, ixmp4_warm: Warm, dsn: str) -> Job:
    """Give a job on a platform of each kind."""
    return Job(tmp_path / "job", ixmp4_warm, dsn)


@pytest.mark.parametrize("make", [annual, categorical, timed])
def test_what_ixmp4_reads_back_equals_the_processed_data(
    job: Job, make: Callable[[], pl.DataFrame]
) -> None:
    job.data(make())
    done = job.run()
    assert done.returncode == 0, done.stderr
    assert comparable(job.stored()["data"]) == comparable(job.frame.to_dicts())


def test_meta_indicators_and_exclude_are_kept_with_their_types(job: Job) -> None:
    assert job.data(annual(), META).run().returncode == 0
    stored = {(s, key): value for _, s, _, key, value in job.stored()["meta"]}
    expected = {
        (entry["scenario"], key): value
        for entry in META
        for key, value in entry.items()
        if key not in ("model", "scenario") and value is not None
    }
    assert stored == expected
    assert {key: type(stored[key]) for key in stored} == {k: type(expected[k]) for k in expected}
    assert job.result["runs"][0]["meta"] == {"Category": "C1", "n": 3, "x": 0.1, "exclude": True}


def test_the_result_names_every_run_and_what_was_created(job: Job) -> None:
    assert job.data(annual()).run().returncode == 0
    assert job.result == {
        "datapoints": 12,
        "runs": [
            {"id": n + 1, "model": "model_a", "scenario": f"scen_{n}", "version": 1,
             "datapoints": 6, "meta": {}}
            for n in range(2)
        ],
        "created": {"regions": ["Region 0", "Region 1"], "units": ["EJ/yr"]},
    }  # fmt: skip
    assert [run["is_default"] for run in job.stored()["runs"]] == [True, True]
    assert job.stored()["locked"] == 0


def test_another_job_makes_the_next_version_the_default(job: Job, tmp_path: Path) -> None:
    assert job.data(annual(scenarios=1)).run().returncode == 0
    other = Job(tmp_path / "other", job.python, job.dsn, "job-2").data(annual(scenarios=1))
    assert other.run().returncode == 0
    versions = {run["version"]: run["is_default"] for run in job.stored()["runs"]}
    assert versions == {1: False, 2: True}
    assert other.result["created"] == {"regions": [], "units": []}


@pytest.mark.parametrize("line", ["import 1/3", "import 3/3", "committing", "committed"])
def test_killed_at_any_point_and_continued_it_ends_as_if_undisturbed(
    job: Job, ixmp4_python: Path, line: str
) -> None:
    job.data(annual(scenarios=3), META)
    process = job.start(ixmp4_python)
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith(line):
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (-signal.SIGKILL, 0)
    continued = job.run()
    assert continued.returncode == 0, continued.stderr
    stored = job.stored()
    assert [(r["scenario"], r["version"], r["is_default"]) for r in stored["runs"]] == [
        (f"scen_{n}", 1, True) for n in range(3)
    ]
    assert comparable(stored["data"]) == comparable(job.frame.to_dicts())
    assert job.result["datapoints"] == 18
    assert job.result["created"]["regions"] == ["Region 0", "Region 1"]


def test_continued_after_the_commit_it_only_writes_its_result_again(job: Job) -> None:
    assert job.data(annual()).run().returncode == 0
    first = job.result
    (job.folder / "import.json").unlink()
    assert job.run().returncode == 0
    assert job.result == first
    assert len(job.stored()["runs"]) == 2


def test_other_data_of_the_same_job_are_a_new_version(job: Job) -> None:
    assert job.data(annual(scenarios=1)).run().returncode == 0
    changed = annual(scenarios=1).with_columns(pl.col("value") + 1)
    assert job.data(changed).run().returncode == 0
    assert [run["version"] for run in job.result["runs"]] == [2]


FAILING = {
    "sqlite": ["CREATE TRIGGER broken BEFORE INSERT ON run WHEN (SELECT count(*) FROM run) >= 2"
               " BEGIN SELECT RAISE(ABORT, 'injected failure'); END"],
    "postgresql": ["CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                   " IF (SELECT count(*) FROM run) >= 2 THEN RAISE 'injected failure'; END IF;"
                   " RETURN NEW; END $$",
                   "CREATE TRIGGER broken BEFORE INSERT ON run FOR EACH ROW"
                   " EXECUTE FUNCTION broken()"],
}  # fmt: skip


@pytest.fixture
def failing_at_the_third_run(job: Job, request: pytest.FixtureRequest) -> Job:
    """Give a job whose platform fails in the middle of the import."""
    kind = job.dsn.partition("://")[0].partition("+")[0]
    if kind == "sqlite":
        import sqlite3

        with sqlite3.connect(job.dsn.removeprefix("sqlite:///")) as connection:
            connection.execute(FAILING["sqlite"][0])
        connection.close()
    else:
        request.getfixturevalue("postgres").sql("platform", *FAILING["postgresql"])
    return job


def test_a_failure_in_the_middle_imports_nothing(failing_at_the_third_run: Job) -> None:
    job = failing_at_the_third_run.data(annual(scenarios=4))
    done = job.run()
    assert done.returncode == 1
    assert "import 3/4" in done.stdout
    assert "injected failure" in job.error["message"]
    stored = job.stored()
    assert stored["runs"] == []
    assert stored["regions"] == []
    assert not (job.folder / "import.json").exists()


def test_two_jobs_at_once_give_two_versions(job: Job, tmp_path: Path, ixmp4_python: Path) -> None:
    frame = annual(scenarios=2, regions=20)
    other = Job(tmp_path / "other", job.python, job.dsn, "job-2").data(frame)
    processes = [job.data(frame).start(ixmp4_python), other.start(ixmp4_python)]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    stored = job.stored()
    versions = sorted((run["scenario"], run["version"]) for run in stored["runs"])
    assert versions == [("scen_0", 1), ("scen_0", 2), ("scen_1", 1), ("scen_1", 2)]
    assert len(stored["data"]) == 2 * len(frame)


def test_a_platform_that_stays_locked_is_an_error_in_time(
    sqlite_platform: Path, tmp_path: Path, ixmp4_warm: Warm
) -> None:
    import sqlite3

    job = Job(tmp_path / "job", ixmp4_warm, f"sqlite:///{sqlite_platform}").data(annual())
    holder = sqlite3.connect(sqlite_platform, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert job.run("--wait", "0.2").returncode == 1
    holder.close()
    assert job.error["code"] == "platform_busy"


def test_a_postgresql_import_does_not_wait_for_ever(
    postgres: Server, postgres_dsn: str, tmp_path: Path, ixmp4_warm: Warm
) -> None:
    import psycopg

    job = Job(tmp_path / "job", ixmp4_warm, postgres_dsn).data(annual())
    with psycopg.connect(postgres_dsn.replace("+psycopg", "")) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [0x69786D7034])
        assert job.run("--wait", "0.2").returncode == 1
    assert job.error["code"] == "platform_busy"


def test_the_password_appears_nowhere(
    postgres: Server, postgres_dsn: str, tmp_path: Path, ixmp4_warm: Warm
) -> None:
    for dsn, code in [
        (postgres.dsn("nowhere"), "platform_missing"),
        (postgres.dsn("platform", user="nobody"), "platform_login"),
        (postgres.dsn("platform").replace(str(postgres.folder), "/nowhere"),
         "platform_unreachable"),
    ]:  # fmt: skip
        job = Job(tmp_path / "job", ixmp4_warm, dsn).data(annual())
        done = job.run()
        assert (done.returncode, job.error["code"]) == (1, code)
        written = done.stdout + done.stderr + (job.folder / "error.json").read_text()
        assert PASSWORD not in written
        assert dsn not in written
        assert dsn.split(":")[2].split("@")[0] not in written


def comparable(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Give rows in an order and form in which they can be compared."""
    found = []
    for row in rows:
        time = row.get("time", row.get("year"))
        if isinstance(time, str):
            time = datetime.fromisoformat(time).replace(tzinfo=None)
        found.append((*(row[k] for k in KEYS), row.get("subannual") or "", time, row["value"]))
    return sorted(found)


def test_postgresql_gets_many_datapoints_in_few_statements(
    postgres: Server, postgres_dsn: str, tmp_path: Path, ixmp4_warm: Warm
) -> None:
    frame = annual(scenarios=1, regions=40, years=10)
    done = Job(tmp_path / "job", ixmp4_warm, postgres_dsn).data(frame).run()
    assert done.returncode == 0, done.stderr
    rows = postgres.sql("platform", "SELECT count(*) FROM iamc_datapoint_universal_version")
    statements = postgres.sql("platform", 'SELECT count(*) FROM "transaction"')
    assert rows == [(400,)]
    assert int(str(statements[0][0])) < 100
