"""Environments on storage that several machines share: none is built by two of them at once."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from runner.standin import lease
from tests.runner.environment_helpers import builds, environment_file, start_python, version_of

# A machine is known by the boot id of its kernel. `flock` here locks nothing: a stand-in for a file
# system whose locks hold on one machine only, between processes that say they are on two.
MACHINE = """
import fcntl, sys
from pathlib import Path
from runner import processes
from runner.standin import lease, store
root, file, machine, beat, fifo = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
processes.boot_id = lambda: machine
fcntl.flock = lambda *_: None
lease.BEAT, lease.SILENCE = float(beat), 1.0
real = store._install

def install(*given):
    print("builds", flush=True)
    if fifo:
        Path(fifo).read_text()
    real(*given)

store._install = install
print(store.EnvironmentStore(root).build(file), flush=True)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return environment_file(tmp_path / "tool.yaml", "packaging==24.2")


def _line(process: subprocess.Popen[str], start: str) -> str:
    """Read on until a line that begins so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(start):
            return line.strip()
    raise AssertionError(f"no line began with {start!r}")


def test_two_machines_build_once_even_where_locks_hold_on_one_machine_only(
    tmp_path: Path, file: Path
) -> None:
    root, fifo = tmp_path / "envs", tmp_path / "fifo"
    os.mkfifo(fifo)
    first = start_python(MACHINE, root, file, "boot-1", 0.1, fifo)
    _line(first, "builds")
    second = start_python(MACHINE, root, file, "boot-2", 0.1, "")
    waits = _line(second, "Waiting")
    assert f"another build of {file.name} on {os.uname().nodename}" in waits
    fifo.write_text("go")
    places = [_line(process, str(root)) for process in (first, second)]
    assert first.wait(60) == second.wait(60) == 0
    assert places[0] == places[1]
    assert len(builds(root)) == 1
    assert list((root / "locks").glob("*.holder")) == []


def test_a_build_that_died_with_its_machine_is_done_by_another(tmp_path: Path, file: Path) -> None:
    root, fifo = tmp_path / "envs", tmp_path / "fifo"
    os.mkfifo(fifo)
    first = start_python(MACHINE, root, file, "boot-1", 0.1, fifo)
    _line(first, "builds")
    first.send_signal(signal.SIGKILL)
    first.wait(60)
    second = start_python(MACHINE, root, file, "boot-2", 0.1, "")
    _line(second, "Waiting")  # until it has been silent for a second
    place = _line(second, str(root))
    assert second.wait(60) == 0
    assert version_of(Path(place), "packaging") == "24.2"


def test_what_a_killed_process_of_this_machine_left_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    code = """
import os, signal, sys
from pathlib import Path
from runner.standin.lease import held_by_one_machine
with held_by_one_machine(Path(sys.argv[1]), "it"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert start_python(code, lock).wait(60) == -signal.SIGKILL
    assert (tmp_path / "lock.holder").exists()

    def waited(*_: Path) -> float:
        raise AssertionError("it was taken for one of another machine")

    monkeypatch.setattr(lease, "_silence", waited)
    with lease.held_by_one_machine(lock, "it"):
        assert str(os.getpid()) in (tmp_path / "lock.holder").read_text()
    assert not (tmp_path / "lock.holder").exists()


def test_a_holder_that_came_in_place_of_a_dead_one_keeps_the_lock(tmp_path: Path) -> None:
    holder = tmp_path / "lock.holder"
    holder.write_text("boot-2 n2 1 new")
    lease._remove(holder, "boot-1 n1 1 dead")
    assert holder.read_text() == "boot-2 n2 1 new"
    lease._remove(holder, "boot-2 n2 1 new")
    assert list(tmp_path.iterdir()) == []
