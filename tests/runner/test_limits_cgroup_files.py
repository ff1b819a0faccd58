"""Which control group is taken. Version 2 is a double here: a folder with files of its names.

A machine has the memory controller in one version only, and tests run on those that have the
first. What the kernel does with the files is tested in an emulated machine (tests/machine).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import limits
from runner.errors import InvalidConfiguration
from runner.limits import scratch, sweep
from runner.limits.cgroups import Group, Tree
from runner.limits.confine import Confinement
from runner.limits.kernel import MB
from runner.limits.settings import Settings
from runner.limits.stage import Run

from .limits_helpers import Rule


class V2Double:
    """A folder that looks like the hierarchy of version 2 to who reads and writes files."""

    def __init__(self, root: Path) -> None:
        self.top = root / "a hierarchy"
        self.mounts, self.own = root / "mountinfo", root / "cgroup"
        place = str(self.top).replace(" ", "\\040")
        self.mounts.write_text(f"30 23 0:26 / {place} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n")
        self.group("/")

    def group(
        self,
        path: str,
        controllers: str = "cpu memory pids",
        passed_on: str = "",
        processes: str = "",
    ) -> Path:
        folder = Path(f"{self.top}/{path}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(f"{controllers}\n")
        (folder / "cgroup.subtree_control").write_text(f"{passed_on}\n")
        (folder / "cgroup.procs").write_text(processes)
        if path != "/":  # the root has none
            (folder / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        return folder

    def tree(self, own: str) -> Tree:
        self.own.write_text(f"1:name=systemd:/elsewhere\n0::{own}\n")
        return Tree(str(self.mounts), str(self.own))


@pytest.fixture
def double(tmp_path: Path) -> V2Double:
    return V2Double(tmp_path)


def test_a_group_is_made_in_the_nearest_that_passes_memory_on(double: V2Double) -> None:
    service = double.group("/jobs.service", passed_on="memory")
    double.group("/jobs.service/main", processes="12\n")
    group = double.tree("/jobs.service/main").make("memory")
    assert group is not None
    assert (Path(group.path).parent, group.version) == (service, 2)


def test_a_group_that_may_pass_memory_on_is_told_to_when_one_is_made(double: V2Double) -> None:
    passed_on = double.group("/jobs.service") / "cgroup.subtree_control"
    tree = double.tree("/jobs.service")
    assert tree.version("memory") == 2
    assert passed_on.read_text() == "\n"  # who only looks changes nothing
    assert tree.make("memory") is not None
    assert passed_on.read_text() == "+memory"


@pytest.mark.parametrize("controller", ["cpu", "memory"])
def test_a_group_with_processes_passes_nothing_on_but_the_root_does(
    double: V2Double, controller: str
) -> None:
    double.group("/", controllers="pids", processes="1\n")
    double.group("/jobs.service", passed_on="cpu", processes="12\n")
    tree = double.tree("/jobs.service")
    assert tree.version(controller) is None  # and not a group that no process can enter
    assert tree.make(controller) is None
    double.group("/", processes="1\n")
    assert tree.version(controller) == 2


def test_groups_without_the_controller_are_not_taken(double: V2Double) -> None:
    for path in ("/", "/jobs.service"):
        double.group(path, controllers="pids")
    tree = double.tree("/jobs.service")
    assert tree.version("memory") is None
    assert tree.make("memory") is None


def test_limits_are_written_as_version_2_reads_them(tmp_path: Path) -> None:
    group = Group(str(tmp_path), 2)
    group.limit_memory(100)
    group.limit_cpu(1.5)
    told = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert told == {
        "memory.max": str(100 << 20), "memory.swap.max": "0", "memory.oom.group": "1",
        "cpu.max": "150000 100000",
    }  # fmt: skip


def test_figures_are_read_as_version_2_writes_them(tmp_path: Path) -> None:
    (tmp_path / "memory.stat").write_text("anon 5000\nfile 90000\nshmem 700\n")
    (tmp_path / "memory.peak").write_text("123456\n")
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 8\noom 1\noom_kill 0\n")
    group = Group(str(tmp_path), 2)
    assert (group.memory(), group.most(), group.killed()) == (5700, 123456, False)
    events.write_text("low 0\nhigh 0\nmax 8\noom 1\noom_kill 2\n")
    assert group.killed()
    assert group.was_full()


@pytest.mark.parametrize(
    ("version", "files", "was_full"),
    [
        (2, {"memory.events": "max 0\noom 0\noom_kill 1\n"}, False),
        (2, {"memory.events": "max 8\noom 1\noom_kill 1\n"}, True),
        (1, {"memory.max_usage_in_bytes": "5000", "memory.limit_in_bytes": "90000"}, False),
        (1, {"memory.max_usage_in_bytes": "90000", "memory.limit_in_bytes": "90000"}, True),
        (1, {"memory.max_usage_in_bytes": "5000", "memory.memsw.max_usage_in_bytes": "90000",
             "memory.limit_in_bytes": "90000"}, True),
    ],
)  # fmt: skip
def test_a_kill_for_the_group_itself_is_told_from_one_for_the_machine(
    tmp_path: Path, version: int, files: dict[str, str], was_full: bool
) -> None:
    for name, text in ({"memory.oom_control": "oom_kill 1\n"} | files).items():
        (tmp_path / name).write_text(text)
    group = Group(str(tmp_path), version)
    assert (group.killed(), group.was_full()) == (True, was_full)


def test_the_peak_that_was_seen_stays_where_the_kernel_tells_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBRUNNER_LIMITS", "rlimit")
    rule, group = Rule(tmp_path, mem_mb=2000), tmp_path / "a group of Linux 5.15"
    group.mkdir()
    run = Run(Settings(str(rule.folder)))
    run._confinement.memory = Group(str(group), 2)
    run.over, run._status, run._meter.peak = "memory", 137 << 8, 1990 * MB
    run._note("then")
    assert rule.note()["peak_mb"] == 1990
    (group / "memory.peak").write_text(f"{2000 * MB}\n")
    run._note("then")
    assert rule.note()["peak_mb"] == 2000


def test_what_cannot_be_removed_stays_noted_down(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=100)
    groups = [tmp_path / "a:colon" / f"jobrunner-{n}" for n in (1, 2)]
    for group in groups:
        group.mkdir(parents=True)
    busy = groups[0] / "an inner group"
    busy.mkdir()
    settings = Settings(str(rule.folder))
    scratch.note(settings, None, [str(group) for group in groups])
    note = Path(scratch.note_file(settings))
    sweep(rule.attempt)
    assert [group.exists() for group in groups] == [True, False]
    assert note.exists()
    busy.rmdir()
    sweep(rule.attempt)
    assert not groups[0].exists()
    assert not note.exists()


def test_memory_and_cpu_of_version_2_are_held_by_one_group(
    double: V2Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    double.group("/jobs.service")
    tree = double.tree("/jobs.service")
    monkeypatch.setattr("runner.limits.confine.Tree", lambda: tree)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    held = Confinement(Settings(str(Rule(tmp_path, mem_mb=100, cores=2).folder)))
    (group,) = held.groups
    assert held.by == "cgroup v2"
    assert Path(group, "memory.max").read_text() == str(100 << 20)
    assert Path(group, "cpu.max").read_text() == "200000 100000"


def test_doctor_says_by_what_limits_are_held_and_why_not_by_more(
    double: V2Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("/", "/jobs.service"):
        double.group(path, controllers="memory pids")
    tree = double.tree("/jobs.service")
    monkeypatch.setattr("runner.limits.methods.Tree", lambda: tree)
    assert limits.method() == "memory by cgroup v2, CPU by affinity"
    assert "controller cpu may be made" in limits.advice()
    double.group("/jobs.service")
    assert limits.method() == "memory by cgroup v2, CPU by cgroup v2"
    assert limits.advice() == ""
    monkeypatch.setenv("JOBRUNNER_LIMITS", "rlimit")
    assert limits.method() == "memory by RLIMIT_DATA of each process, CPU by affinity"
    monkeypatch.setenv("JOBRUNNER_LIMITS", "none")
    assert limits.method().startswith("none")
    monkeypatch.setenv("JOBRUNNER_LIMITS", "much")
    with pytest.raises(InvalidConfiguration, match="much: there are auto, rlimit, none"):
        limits.method()


def test_settings_and_notes_are_json_whatever_is_in_them(tmp_path: Path) -> None:
    import json

    from runner.limits import flat

    given = {"a": 'q"uo\\te', "b": "naïve 😀 \udc80", "c": 2.5, "d": None, "e": True, "f": 2000.0}
    path = tmp_path / "given.json"
    path.write_text(json.dumps(given, indent=0))
    assert flat.read(str(path)) == given
    assert json.loads(flat.text(given)) == given  # type: ignore[arg-type]
