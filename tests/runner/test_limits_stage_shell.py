"""The stage shell, with the control groups and the processes of this machine."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner import limits
from runner.limits import kernel
from runner.limits.cgroups import Tree

from .limits_helpers import HOG, Rule, until

BOTH = pytest.mark.parametrize("method", ["auto", "rlimit"], indirect=True)


@pytest.fixture(autouse=True)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The method that is asked for; ``auto`` takes the best that this machine has."""
    name = getattr(request, "param", "auto")
    monkeypatch.setenv("JOBRUNNER_LIMITS", name)
    return str(name)


def _by(method: str) -> str:
    """Give what a note says about the method; by `doctor`, memory is in a control group here."""
    found = limits.method()
    version = next((v for v in ("v2", "v1") if f"memory by cgroup {v}" in found), None)
    return f"cgroup {version}" if version and method == "auto" else "rlimit"


@pytest.mark.parametrize(
    "command",
    [
        "exit 3",
        "echo out; echo err >&2",
        "false | true",
        "kill -TERM $$",
        "kill -SEGV $$",
        "yes | head -1 > /dev/null",
        "cat; echo $0 $#",
        "nothing_of_that_name",
        "trap 'echo cleaned; exit 7' EXIT; false",
        "umask; ulimit -a; nice",
        "env | grep -v -e ^TMP -e ^TEMP -e ^JOBRUNNER_STAGE= | sort",
        "type -p bash; bash -c 'echo inner; exit 4'",
    ],
)
def test_a_command_ends_and_says_the_same_as_in_bash(tmp_path: Path, command: str) -> None:
    rule = Rule(tmp_path, mem_mb=500, cores=1)
    ours = rule.run(command, "some input\n")
    bare = subprocess.run(
        f"set -euo pipefail; {command}", input="some input\n", shell=True, capture_output=True,
        executable="/usr/bin/bash", text=True, cwd=rule.job, env=dict(os.environ),
    )  # fmt: skip
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        bare.returncode, bare.stdout, bare.stderr,
    )  # fmt: skip
    assert rule.left() == []


@BOTH
def test_a_command_over_its_memory_is_killed_with_its_figures(tmp_path: Path, method: str) -> None:
    rule = Rule(tmp_path, mem_mb=150)
    assert rule.run(f"{HOG} > out.txt 2> log").returncode != 0
    note, error = rule.note(), limits.exceeded(rule.attempt, "solve", rule.job / "log")
    assert note["by"] == _by(method)
    assert error is not None
    assert (error["code"], error["stage"]) == ("out_of_memory", "solve")
    assert "150 MB" in error["message"]
    assert "--resource solve:mem_mb=300" in error["message"]
    if note["by"] == "rlimit":
        assert "MemoryError" in (rule.job / "log").read_text()
    else:
        assert (note["over"], note["limit"]) == ("memory", 150)
        assert 140 <= note["peak_mb"] <= 151


@BOTH
def test_processes_that_are_too_large_together_are_all_killed(tmp_path: Path, method: str) -> None:
    rule = Rule(tmp_path, mem_mb=200)
    child = "python3 -c 'import time; x = bytearray(120 << 20); time.sleep(60)'"
    began = time.monotonic()
    assert rule.run(f"{child} & {child} & {child} & wait").returncode == 137
    assert time.monotonic() - began < 30
    note, error = rule.note(), limits.exceeded(rule.attempt, "solve")
    assert error is not None
    held = "all its processes together" if note["by"] == "rlimit" else note["by"]
    assert (note["over"], f"limit of {held})" in error["message"]) == ("memory", True)
    assert rule.left() == []


def test_a_command_that_hides_that_a_child_was_killed_for_memory_fails(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=150)
    assert rule.run(f"{HOG} || echo went on").returncode != 0
    assert limits.exceeded(rule.attempt, "solve") is not None


@BOTH
def test_memory_of_a_command_within_its_limit_is_measured(tmp_path: Path, method: str) -> None:
    rule, gate = Rule(tmp_path, mem_mb=600), tmp_path / "gate"
    os.mkfifo(gate)
    closed = os.open(gate, os.O_RDWR)
    script = 'x, gate = bytearray(80 << 20), open("../gate"); print(1, flush=True); gate.read()'
    with rule.start(f"python3 -c '{script}' & python3 -c '{script}' & wait") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["1\n", "1\n"]
        _be_looked_at(process.pid, rule)
        os.close(closed)
        assert process.wait(60) == 0
    assert 160 <= rule.note()["peak_mb"] < 260  # both together, and their interpreters


@BOTH
def test_copies_of_files_in_memory_do_not_count_as_peak(tmp_path: Path, method: str) -> None:
    rule = Rule(tmp_path, mem_mb=600)
    command = 'dd if=/dev/zero of="$TMPDIR/f" bs=1M count=200 2>/dev/null; cat "$TMPDIR/f" | wc -c'
    assert rule.run(command).returncode == 0
    assert rule.note()["peak_mb"] < 100


@BOTH
def test_a_command_gets_no_more_cpu_than_its_cores(tmp_path: Path, method: str) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one CPU: there is nothing to hold back")
    rule = Rule(tmp_path, cores=1)
    spin = "timeout 1.5 sh -c 'while :; do :; done'"
    rule.run(f"{spin} & {spin} & wait || true")
    note = rule.note()
    assert note["cpu_seconds"] / note["seconds"] < 1.25


@BOTH
def test_a_command_is_held_to_its_cores_by_the_kernel(tmp_path: Path, method: str) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("this machine has one CPU: there is nothing to hold back")
    rule = Rule(tmp_path, cores=1)
    with rule.start("nproc; read -r line", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = process.stdout.readline().strip()
        names = ("cpu.cfs_quota_us", "cpu.max")
        files = [Path(group, name) for group in rule.groups() for name in names]
        told = [path.read_text().split()[0] for path in files if path.exists()]
        process.communicate("\n")
    if method == "auto" and "CPU by cgroup" in limits.method():
        assert told == ["100000"]  # microseconds of 100000
    else:
        assert seen == "1"


def test_what_a_command_used_is_noted_down_and_summed_up(tmp_path: Path) -> None:
    rule = Rule(tmp_path, enforce=False, mem_mb=50, runtime=0.001)
    command = "head -c 30000000 /dev/zero > big; cat big > copy; sh -c 'sleep 0.3'"
    with rule.start(command, cwd=tmp_path) as process:
        assert process.wait() == 0
    note = rule.note()
    assert (note["exit"], note["over"], note["by"]) == (0, None, "none")
    assert note["seconds"] >= 0.3
    assert 0 < note["cpu_seconds"] < 5
    assert note["read_mb"] == pytest.approx(60, abs=3)
    assert note["written_mb"] == pytest.approx(60, abs=1)
    assert rule.run("true").returncode == 0
    total = limits.used(rule.attempt, "solve")
    assert total is not None
    assert list(total) == [
        "runs", "seconds", "longest_seconds", "cpu_seconds", "peak_mb", "read_mb", "written_mb",
    ]  # fmt: skip
    assert total["runs"] == 2
    assert total["longest_seconds"] == note["seconds"] < total["seconds"]
    assert total["peak_mb"] == pytest.approx(note["peak_mb"], abs=0.5)  # either may be larger


def test_a_command_that_takes_too_long_is_stopped_with_all_its_children(tmp_path: Path) -> None:
    rule = Rule(tmp_path, runtime=0.01)
    assert rule.run("setsid sleep 300 & sleep 301").returncode == 124
    error = limits.exceeded(rule.attempt, "solve")
    assert error is not None
    assert error["code"] == "time_limit"
    assert "after 0.01 minutes" in error["message"]
    assert "solve:runtime=0.02" in error["message"]


def test_a_command_that_fills_the_disk_is_stopped(tmp_path: Path) -> None:
    rule = Rule(tmp_path, disk_mb=20)
    began = time.monotonic()
    command = 'mkdir "$TMPDIR/a"; head -c 30000000 /dev/zero > "$TMPDIR/a/big"; sleep 60'
    assert rule.run(command).returncode == 122
    assert time.monotonic() - began < 30
    error = limits.exceeded(rule.attempt, "solve")
    assert error is not None
    assert error["code"] == "disk_limit"
    assert "took 30 MB of disk, more than the 20 MB" in error["message"]


def test_a_command_that_has_filled_the_disk_at_its_end_fails(tmp_path: Path) -> None:
    rule = Rule(tmp_path, disk_mb=20)
    assert rule.run("head -c 30000000 /dev/zero > big").returncode == 122


def test_what_a_command_leaves_running_ends_with_it(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300)
    assert rule.run("setsid sleep 4711 & echo $! > pid; disown").returncode == 0
    assert not _alive(int((rule.job / "pid").read_text()))
    assert rule.left() == []


def test_the_rest_of_its_output_is_waited_for(tmp_path: Path) -> None:
    rule = Rule(tmp_path)
    command = f"exec > >(sleep 0.5; cat > '{tmp_path}/log'); echo the last line"
    assert rule.run(command).returncode == 0
    assert (tmp_path / "log").read_text() == "the last line\n"


def test_each_command_has_a_temporary_folder_of_its_own_that_is_removed(tmp_path: Path) -> None:
    rule = Rule(tmp_path)
    command = 'echo "$TMPDIR" "$TMP" "$TEMP"; mkdir -p "$TMPDIR/a/b"; touch "$TMPDIR/a/b/c"'
    said = [rule.run(f'{command}; chmod 500 "$TMPDIR/a/b" "$TMPDIR/a"').stdout for _ in range(2)]
    assert said[0] != said[1]
    assert all(text.startswith(f"{rule.temporary}/") for text in said)
    assert len(set(said[0].replace(f"{rule.temporary}/", "").split())) == 1
    assert rule.left() == []


def test_a_stage_shell_that_is_killed_is_swept_up_after(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300, cores=1)
    with rule.start('touch "$TMPDIR/mine"; echo ready; sleep 4712') as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        groups = rule.groups()
        limits.sweep(rule.attempt)
        assert len(rule.left()) == 2  # one that lives is left alone
        process.kill()
    if "cgroup" in limits.method():
        assert groups
    assert len(rule.left()) == 2
    limits.sweep(rule.attempt)
    assert rule.left() == []
    assert not any(Path(group).exists() for group in groups)


def test_nothing_lives_on_when_snakemake_is_killed(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300, cores=1)
    script = (
        "import subprocess, sys; subprocess.run(sys.argv[1], shell=True, executable=sys.argv[2])"
    )
    command = f"setsid sleep 4713 & echo $! $$ > '{tmp_path}/pids'; sleep 4714"
    with subprocess.Popen(
        [sys.executable, "-c", script, command, str(rule.bash)], env=rule.environment
    ) as leader:
        until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().strip())
        groups = rule.groups()
        leader.kill()
    until(lambda: not rule.left())
    assert not any(_alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert not any(Path(group).exists() for group in groups)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_command_as_it_ends_bash(
    tmp_path: Path, number: signal.Signals
) -> None:
    rule = Rule(tmp_path)
    command = (
        "python3 -c 'import time, signal\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        'try: print("ready", flush=True); time.sleep(60)\n'
        'except KeyboardInterrupt: time.sleep(0.3); print("cleaned")\n'
        "raise SystemExit(9)'; echo not reached"
    )
    ends = []
    for bash, environment in (str(rule.bash), rule.environment), ("/usr/bin/bash", None):
        process = subprocess.Popen(
            f"set -e; {command}", shell=True, executable=bash, env=environment, text=True,
            stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, number)
        ends.append((process.wait(20), process.stdout.read()))
        process.stdout.close()
    assert ends[0] == ends[1]
    assert "cleaned" in ends[0][1]
    assert rule.left() == []


def test_commands_of_snakemake_itself_go_to_bash_at_once(tmp_path: Path) -> None:
    rule = Rule(tmp_path, runtime=0.001)
    rule.environment["TMPDIR"] = str(tmp_path)
    assert rule.run("sleep 0.2; type -p bash").stdout.startswith("/usr")
    assert list(rule.folder.glob("used.*")) == []


def test_a_rule_starts_hardly_later_than_in_bash(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300, cores=1)
    found = {}
    for name, bash in ("ours", rule.bash), ("bash", "/usr/bin/bash"):
        times = []
        for _ in range(15):
            began = time.perf_counter()
            subprocess.run("true", shell=True, executable=str(bash), env=rule.environment)
            times.append(time.perf_counter() - began)
        found[name] = min(times), statistics.median(times)
    print({name: [round(t * 1000) for t in times] for name, times in found.items()})
    assert found["ours"][0] - found["bash"][0] < 0.1  # 20 ms on an idle machine


def _be_looked_at(shell: int, rule: Rule) -> None:
    """Wait until a stage shell has read as much as it does when it looks at memory three times."""

    def has_read() -> int:
        return int(Path(f"/proc/{shell}/io").read_text().split()[1])

    files = [Path(group, "memory.stat") for group in rule.groups()]
    files = [file for file in files if file.exists()]
    files = files or [Path(f"/proc/{pid}/smaps_rollup") for pid in kernel.descendants(shell)]
    enough = has_read() + 3 * sum(len(file.read_bytes()) for file in files)
    until(lambda: has_read() >= enough, 60)


def _patched(rule: Rule, patch: str) -> subprocess.CompletedProcess[str]:
    """Run `true` in the stage shell with something of it replaced."""
    script = (
        "import sys\nfrom runner.limits import cgroups, confine, settings, stage\n"
        f"{patch}\nrun = stage.Run(settings.Settings(sys.argv[1]))\n"
        "stage.leave(run.run('/usr/bin/bash', ['bash', '-c', 'true']))"
    )
    command = [sys.executable, "-c", script, str(rule.folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_command_that_cannot_enter_its_group_says_which_and_what_to_do(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300)
    refuse = (
        "confine.Tree.make = lambda *_: cgroups.Group('/a group', 2)\n"
        "cgroups.Group.limit_memory = lambda *_: None\n"
        "def refuse(group): raise OSError(95, 'Operation not supported')\n"
        "cgroups.Group.enter = refuse"
    )
    ended = _patched(rule, refuse)
    assert ended.returncode == 126
    assert ended.stderr == (
        "jobrunner: solve cannot be put under its limits in /a group: Operation not supported. "
        "Without control groups: JOBRUNNER_LIMITS=rlimit.\n"
    )


def test_a_group_that_the_kernel_keeps_stays_noted_down(tmp_path: Path) -> None:
    rule = Rule(tmp_path, mem_mb=300)
    assert _patched(rule, "confine.Confinement.remove = lambda _: False").returncode == 0
    for group in rule.groups():
        os.rmdir(group)
    assert [path.name[:8] for path in rule.left()] == ["running."]


def test_a_kill_for_want_of_memory_around_the_stage_is_not_blamed_on_its_limit(
    tmp_path: Path,
) -> None:
    if "memory by cgroup v1" not in limits.method():
        pytest.skip("only in version 1 a group can be made around the processes of a stage shell")
    around = Tree().make("memory")
    assert around is not None
    around.limit_memory(200)
    rule = Rule(tmp_path, mem_mb=1000)
    with rule.start(f"{HOG} || echo went on", preexec_fn=around.enter) as process:
        assert process.wait(60) == 137
    assert around.remove()
    error = limits.exceeded(rule.attempt, "solve")
    assert error is not None
    assert (error["code"], error["stage"]) == ("machine_out_of_memory", "solve")
    assert f"machine {os.uname().nodename}" in error["message"]
    assert "of the 1000 MB" in error["message"]
    assert 100 < rule.note()["peak_mb"] < 220


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
