"""The solution on real platforms: as solved, in the version asked for, all or nothing, once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.postgresql import Server
from tests.workflow.solving import EXAMPLES, EXPANSION, Job, values
from tests.workflow.warm import Warm

# G. B. Dantzig's problem has several optimal flows; its objective and prices are unique. Prices
# and reduced costs as GAMS gives them for trnsport.gms of its model library.
OBJECTIVE = 153.675
PRICES = {"new-york": 0.225, "chicago": 0.153, "topeka": 0.126}
REDUCED = {("seattle", "topeka"): 0.036, ("san-diego", "chicago"): 0.009}
COST = {
    ("seattle", "new-york"): 0.225, ("seattle", "chicago"): 0.153, ("seattle", "topeka"): 0.162,
    ("san-diego", "new-york"): 0.225, ("san-diego", "chicago"): 0.162,
    ("san-diego", "topeka"): 0.126,
}  # fmt: skip

ADD_TIMESERIES = """
import pandas as pd
p.regions.create("World", "common"); p.units.create("EJ/yr")
run = p.runs.get("transport problem", "standard")
with run.transact("timeseries"):
    columns = ["region", "variable", "unit", "year", "value"]
    frame = pd.DataFrame([["World", "Cost", "EJ/yr", 2020, 1.5]], columns=columns)
    run.iamc.add(frame, type="ANNUAL")
    run.meta = {"Category": "C1"}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def dsn(request: pytest.FixtureRequest) -> str:
    """Give the address of an empty platform of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('sqlite_platform')}"
    return str(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
def job(tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, dsn: str) -> Job:
    """Give a job on a platform of each kind that has the transport problem."""
    done = ixmp4_warm.run([EXAMPLES / "put_transport.py", dsn])
    assert done.returncode == 0, done.stderr
    return Job(tmp_path / "job", ixmp4_warm, linopy_warm, dsn)


def test_dantzigs_problem_is_on_the_platform_as_its_author_solved_it(job: Job) -> None:
    done = job.solved().store()
    assert done.returncode == 0, done.stderr
    source, stored = job.on_platform()
    assert (source["default"], stored["default"], stored["locked"]) == (False, True, False)
    assert source["variables"] == {"x": {}, "z": {}}
    assert stored["variables"]["z"] == {"levels": [pytest.approx(OBJECTIVE)], "marginals": [0.0]}
    assert stored["meta"] == {"objective": pytest.approx(OBJECTIVE), "solver_status": "optimal"}
    demand = values(stored["equations"]["demand"], "j")
    assert {j: level for j, (level, _) in demand.items()} == {
        "new-york": 325, "chicago": 300, "topeka": 275,
    }  # fmt: skip
    assert {j: marginal for j, (_, marginal) in demand.items()} == pytest.approx(PRICES)
    supply = values(stored["equations"]["supply"], "i")
    assert sum(level for level, _ in supply.values()) == pytest.approx(900)
    assert [marginal for _, marginal in supply.values()] == [0, 0]
    flows = values(stored["variables"]["x"], "i", "j")
    assert sum(COST[key] * level for key, (level, _) in flows.items()) == pytest.approx(OBJECTIVE)
    reduced = {key: marginal for key, (_, marginal) in flows.items() if abs(marginal) > 1e-9}
    assert reduced == pytest.approx(REDUCED)
    assert job.document("stored.json")["version"] == 2


def test_a_new_version_has_the_timeseries_indicators_and_items_of_the_one_solved(job: Job) -> None:
    job.ask(ADD_TIMESERIES)
    assert job.solved().store().returncode == 0
    source, stored = job.on_platform()
    assert stored["datapoints"] == source["datapoints"] == 1
    assert stored["parameters"] == source["parameters"]
    assert stored["meta"]["Category"] == "C1"


def test_a_new_version_need_not_be_the_default(job: Job) -> None:
    assert job.solved().store("--to", "new_version").returncode == 0
    assert [run["default"] for run in job.on_platform()] == [True, False]


def test_the_same_run_gets_the_solution_and_loses_the_earlier_one(job: Job) -> None:
    job.ask(
        "run = p.runs.get('transport problem', 'standard')\n"
        "with run.transact('old'):\n"
        "    run.optimization.equations.get_by_name('demand').add_data(\n"
        "        {'j': ['topeka'], 'levels': [1.0], 'marginals': [9.0]})\n"
    )
    assert job.solved().store("--to", "same_run").returncode == 0
    (run,) = job.on_platform()
    demand = values(run["equations"]["demand"], "j")
    assert {j: marginal for j, (_, marginal) in demand.items()} == pytest.approx(PRICES)
    assert run["locked"] is False
    assert job.document("stored.json")["version"] == 1


def test_items_that_the_platform_lacks_are_created_with_their_index_sets(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, sqlite_platform: Path
) -> None:
    dsn = f"sqlite:///{sqlite_platform}"
    done = ixmp4_warm.run([EXAMPLES / "put_capacity_expansion.py", dsn])
    assert done.returncode == 0, done.stderr
    job = Job(tmp_path / "job", ixmp4_warm, linopy_warm, dsn)
    plugin = ("--plugin", "capacity_expansion")
    stored = job.solved(plugin=plugin, **EXPANSION).store()
    assert stored.returncode == 0, stored.stderr
    assert 2000 < job.document("model.json")["rows"] < 20_000
    _, run = job.on_platform()
    assert run["columns"]["flow"] == [
        ["node", "node", "year", "slice"], ["from", "to", "year", "slice"],
    ]  # fmt: skip
    assert run["columns"]["capacity"] == [["node", "technology", "year"], None]
    assert set(run["variables"]["capacity"]["year"]) == {2020, 2025, 2030, 2035, 2040, 2045, 2050}
    caps = run["parameters"]["emission_cap"]
    emitted = values(run["equations"]["emission_limit"], "year")
    for year, cap in zip(caps["year"], caps["values"], strict=True):
        level, price = emitted[year]
        assert level <= cap + 1e-6
        assert price <= 0  # one more ton allowed never costs more
        assert price == 0 or level == pytest.approx(cap)


@pytest.mark.parametrize("line", ["equation demand", "committed"])
def test_killed_at_any_point_and_continued_it_is_stored_once(
    job: Job, ixmp4_python: Path, line: str
) -> None:
    job.solved()
    process = subprocess.Popen(
        [ixmp4_python, *job.store_command()], env=job.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith(line):
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait() in (-signal.SIGKILL, 0)
    continued = job.store()
    assert continued.returncode == 0, continued.stderr
    source, stored = job.on_platform()
    assert (source["version"], stored["version"], stored["default"]) == (1, 2, True)
    assert len([m for m in stored["checkpoints"] if m.startswith("jobrunner job=job-1")]) == 1
    assert stored["locked"] is False
    assert job.document("stored.json")["version"] == 2


def test_stored_once_although_its_result_was_lost(job: Job) -> None:
    for _ in range(2):
        assert job.solved().store("--to", "same_run").returncode == 0
        (job.folder / "stored.json").unlink()
    assert "stored already" in job.store("--to", "same_run").stdout
    assert len(job.on_platform()) == 1


def test_items_that_somebody_changed_meanwhile_get_no_solution(job: Job) -> None:
    job.solved()
    job.ask(
        "run = p.runs.get('transport problem', 'standard')\n"
        "with run.transact('more demand'):\n"
        "    run.optimization.scalars.get_by_name('f').value = 91.0\n"
    )
    assert job.store().returncode == 1
    assert job.error["code"] == "scenario_changed"
    assert len(job.on_platform()) == 1


def test_a_run_that_somebody_has_locked_is_not_written_to(job: Job) -> None:
    job.solved()
    job.ask("p.runs.get('transport problem', 'standard')._lock()")
    assert job.store("--to", "same_run", "--lock-wait", "0").returncode == 1
    assert job.error["code"] == "run_locked"
    assert job.on_platform()[0]["variables"] == {"x": {}, "z": {}}


def test_a_role_that_may_only_read_is_told_before_anything_is_solved(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, postgres: Server, postgres_dsn: str
) -> None:
    assert ixmp4_warm.run([EXAMPLES / "put_transport.py", postgres_dsn]).returncode == 0
    postgres.sql(
        "platform", "DROP ROLE IF EXISTS solver_reader",
        "CREATE ROLE solver_reader LOGIN PASSWORD 'x'",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO solver_reader",
    )  # fmt: skip
    dsn = postgres.dsn("platform", user="solver_reader", password="x")
    job = Job(tmp_path / "job", ixmp4_warm, linopy_warm, dsn)
    try:
        assert job.load().returncode == 1
        assert job.error["code"] == "platform_rights"
        assert "opt_var" in job.error["message"]
        assert not (job.folder / "items.json").exists()
    finally:
        postgres.sql("platform", "DROP OWNED BY solver_reader", "DROP ROLE solver_reader")


@pytest.mark.parametrize("embedded", [False, True])
def test_a_platform_file_that_may_only_be_read_is_told_before_anything_is_solved(
    solve_job: Job, tmp_path: Path, embedded: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a folder can only be mounted read-only by root")
    folder = tmp_path / "readable"
    folder.mkdir()
    file = folder / "platform.db"
    shutil.copy(solve_job.dsn.removeprefix("sqlite:///"), file)
    before = file.read_bytes()
    solve_job.dsn = "" if embedded else f"sqlite:///{file}"
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        assert solve_job.load(*(("--embedded", str(file)) if embedded else ())).returncode == 1
        assert solve_job.error["code"] == "platform_rights"
        assert str(file) in solve_job.error["message"]
        assert not (solve_job.folder / "items.json").exists()
        assert file.read_bytes() == before
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_platform_that_is_away_is_one_error_at_each_end(job: Job, postgres: Server) -> None:
    job.solved()
    there = job.dsn
    job.dsn = postgres.dsn("platform").replace(str(postgres.folder), "/nowhere")
    for done in (job.load(), job.store()):
        assert done.returncode == 1
        assert job.error["code"] == "platform_unreachable"
    job.dsn = there
    assert job.store().returncode == 0


def test_a_full_disk_leaves_neither_a_solution_nor_half_a_file(
    tmp_path: Path, ixmp4_warm: Warm, linopy_warm: Warm, sqlite_platform: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    dsn = f"sqlite:///{sqlite_platform}"
    assert ixmp4_warm.run([EXAMPLES / "put_transport.py", dsn]).returncode == 0
    job = Job(tmp_path / "job", ixmp4_warm, linopy_warm, dsn)
    assert job.load().returncode == 0
    assert job.build("--plugin", "transport").returncode == 0
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", job.folder], check=True)
    try:
        assert job.load().returncode == 0
        assert job.build("--plugin", "transport").returncode == 0
        room = os.statvfs(job.folder)
        (job.folder / "ballast").write_bytes(b"x" * (room.f_bavail * room.f_frsize))
        assert job.solve().returncode == 1
        assert not list(job.folder.glob("*solution*"))
        (job.folder / "ballast").unlink()
        assert job.solve().returncode == 0
    finally:
        subprocess.run(["umount", "--lazy", job.folder], check=True)
