"""Resources from the command line to the attempt, through a real service with two pools."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webapp.remote import Remote, remote_of
from tests.webapp.running import Running, open_running, until
from tests.webapp.worlds import make_home
from webapp import pools


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("service")
    text = "limits: {runtime: 3, mem_mb: 900}\n"
    found = open_running(make_home(folder / "home", {"default": text}).path)
    try:
        found.up("--slurm-slots", "3", slots=2)
        yield found
    finally:
        found.stop()


@pytest.fixture
def remote(running: Running, tmp_path: Path) -> Remote:
    return remote_of(running, tmp_path)


def _slots(running: Running) -> dict[str, int]:
    with running.service.db.read() as session:
        return {w.pool: w.slots for w in pools.living(session, running.service.settings)}


def test_one_machine_serves_the_pool_of_a_cluster_beside_its_own(running: Running) -> None:
    until(lambda: len(_slots(running)) == 2, "both worker processes")
    assert _slots(running) == {"default": 2, "slurm": 3}
    assert "2, 3 of pool slurm" in (running.home / "output-0.txt").read_text()


def test_what_is_asked_for_on_the_command_line_is_what_snakemake_is_told(
    running: Running, remote: Remote
) -> None:
    words = ["submit", "toy", "--input", remote.input(), "--resource", "mem_mb=300"]
    words += ["--resource", "second:mem_mb=800", "--resource", "second:runtime=2"]
    document = remote.json(*words, "--follow")
    assert document["request"]["resources"] == {
        "mem_mb": 300, "stages": {"second": {"mem_mb": 800, "runtime": 2}},
    }  # fmt: skip
    directory = running.service.directory(running.row(document["id"]))
    record = json.loads((directory.attempts / "1.json").read_text())
    assert "second:mem_mb=800" in record["argv"]
    assert "mem_mb=800" in record["argv"]  # together
    assert document["stages"][1]["used"]["runs"] == 1
    assert document["attempts"][0]["stages"]["second"] == document["stages"][1]["used"]
    shown = remote.run("show", document["id"]).stdout
    assert "mem_mb=300, second:mem_mb=800, second:runtime=2" in shown
    assert " MB " in shown


def test_what_is_too_much_is_refused_with_all_figures_at_once(remote: Remote) -> None:
    words = ["submit", "toy", "--input", remote.input(), "--resource", "second:cores=10000"]
    answer = remote.run(*words, "--resource", "runtime=4", "--resource", "colour=5")
    assert answer.returncode == 2
    assert "/resources/colour" in answer.stderr
    answer = remote.run(*words, "--resource", "runtime=4")
    assert answer.returncode == 2
    assert "Instance default allows 3 minutes; 4 minutes were asked for." in answer.stderr
    assert "10000 cores; for one job pool default has" in answer.stderr


def test_ctrl_c_ends_both_worker_processes(running: Running) -> None:
    process = running.processes[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert running.left() == []
