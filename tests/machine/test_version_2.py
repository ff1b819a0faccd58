"""Limits by version 2 of control groups, with systemd: this machine may have the first only."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.machine import machine
from tests.machine.kernel import NoKernel

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "systemd" / "jobrunner-worker@.service"
STAGE_SHELL = "tests/runner/test_limits_stage_shell.py"
ALL = "auto or hides or swept or kernel_keeps or cannot_enter or lives_on"
TESTS = "--noconftest -p no:cacheprovider -q"
SETTLED = (
    "import sys, pytest; from runner import limits; limits.settle(); print(limits.method());"
    " sys.exit(pytest.main(sys.argv[1:]))"
)
pytestmark = pytest.mark.xdist_group("machine")


def _service(command: str, *lines: str) -> str:
    """Write a service that runs Python; an ordinary user may get at its interpreter."""
    found = [Path(sys.executable), Path(sys.executable).resolve(), ROOT / "x"]
    folders = {str(folder) for path in found for folder in path.parents}
    opened = f"ExecStartPre=+/bin/chmod a+rx {' '.join(sorted(folders))}"
    start = f"ExecStart={sys.executable} {command}"
    return "\n".join([f"WorkingDirectory={ROOT}", opened, start, *lines])


def _sandbox() -> list[str]:
    """Give what the unit that comes along says of control groups and of what a worker may do."""
    names = ("Delegate", "NoNew", "Protect")  # the checkout may be in a /tmp that is private
    return [line for line in UNIT.read_text().splitlines() if line.startswith(names)]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, machine.Done]:
    """The services of one machine, each after the other."""
    if lacking := machine.lacking():
        pytest.skip(f"no machine can be emulated: {lacking}")
    shipped = ["User=daemon", *_sandbox(), "ProtectHome=no", "ReadWritePaths=/var/tmp"]
    services = {
        "root": _service(f"-m pytest {TESTS} {STAGE_SHELL} -k '{ALL}'"),
        "shipped": _service(f"-c '{SETTLED}' {TESTS} {STAGE_SHELL} -k 'auto or swept'", *shipped),
        "bounded": _service(
            f"-c '{SETTLED}' {TESTS} tests/machine/inside.py", *shipped, "MemoryMax=300M"
        ),
        "undelegated": _service(f"-c '{SETTLED}' --version", "User=daemon"),
    }
    try:
        return machine.run(
            services, ROOT / ".cache" / "kernel", tmp_path_factory.mktemp("machine"), 1200
        )
    except NoKernel as error:
        pytest.skip(f"no machine can be emulated: {error}")


@pytest.mark.parametrize("name", ["root", "shipped", "bounded"])
def test_stages_are_held_by_version_2(done: dict[str, machine.Done], name: str) -> None:
    assert done[name].code == 0, done[name].log


@pytest.mark.parametrize("name", ["shipped", "bounded"])
def test_the_unit_that_comes_along_gives_a_worker_control_groups(
    done: dict[str, machine.Done], name: str
) -> None:
    assert done[name].log.startswith("memory by cgroup v2, CPU by cgroup v2\n"), done[name].log


def test_a_group_that_is_not_the_workers_own_is_left_alone(done: dict[str, machine.Done]) -> None:
    said = done["undelegated"].log
    assert said.startswith("memory by RLIMIT_DATA of each process, CPU by affinity\n"), said
