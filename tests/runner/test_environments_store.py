"""Environments are shared, whole or not there, and built once."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from runner.environments import EnvironmentStore
from runner.errors import EnvironmentFailed
from runner.standin import lock as lock_program
from runner.standin import locks, store, uvtool
from tests.runner.environment_helpers import (
    builds,
    environment_file,
    output_of,
    start_python,
    version_of,
)

BUILD = """
import sys
from pathlib import Path
from runner.environments import EnvironmentStore
print(EnvironmentStore(Path(sys.argv[1])).build(Path(sys.argv[2])))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "envs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return environment_file(tmp_path / "tool.yaml", "packaging==24.2", "six")


def test_same_content_is_built_once_whatever_the_file_is_called(root: Path, file: Path) -> None:
    prefix = EnvironmentStore(root).build(file)
    assert version_of(prefix, "packaging") == "24.2"
    other = file.with_name("other.yaml")
    other.write_text("# a comment\n" + file.read_text().replace("python >=3.11", "python >= 3.11"))
    assert EnvironmentStore(root).build(other) == prefix
    assert len(builds(root)) == 1
    changed = environment_file(file, "packaging==24.1", "six")
    assert version_of(EnvironmentStore(root).build(changed), "packaging") == "24.1"
    assert version_of(prefix, "packaging") == "24.2"


def test_environments_are_byte_compiled_even_if_python_is_told_not_to(
    root: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    prefix = EnvironmentStore(root).build(file)
    sources = {p.stem for p in prefix.glob("lib/python*/site-packages/packaging/*.py")}
    compiled = {p.name.split(".")[0] for p in prefix.glob("lib/**/packaging/__pycache__/*.pyc")}
    assert sources
    assert sources == compiled


def test_an_environment_of_python_alone_needs_no_packages(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text("dependencies: [python]\n")
    prefix = EnvironmentStore(root).build(file)
    assert output_of([str(prefix / "bin" / "python"), "-c", "print(1)"]) == "1\n"


def test_a_lock_made_for_the_file_decides_the_versions(root: Path, tmp_path: Path) -> None:
    file = environment_file(tmp_path / "envs" / "tool.yaml", "packaging<24", "six")
    lock = locks.write(file)
    text = lock.read_text()
    assert text.startswith(f"# locks: sha256:{store.read_spec(file).digest}\n")
    assert "packaging==23.2" in text
    older = text.replace("packaging==23.2", "packaging==23.1")
    for new, old in _HASHES.items():
        older = older.replace(new, old)
    lock.write_text(older)
    assert (
        version_of(EnvironmentStore(root).build(file, [tmp_path / "envs"]), "packaging") == "23.1"
    )
    # the same through a copy, as Snakemake hands it over, and the variable
    copy = tmp_path / "job" / "abc_.yaml"
    copy.parent.mkdir()
    copy.write_bytes(file.read_bytes())
    shown = output_of(
        ["env", "python", "-m", "runner.standin.build", "--store", str(root), str(copy)],
        JOBRUNNER_LOCKS=str(tmp_path / "envs"),
        PATH=f"{Path(os.sys.executable).parent}:{os.environ['PATH']}",
    )
    assert version_of(Path(shown.split(": ")[1].strip()), "packaging") == "23.1"
    assert len(builds(root)) == 1


_HASHES = {  # packaging 23.2 -> 23.1, from the package index
    "048fb0e9405036518eaaf48a55953c750c11e1a1b68e0dd1a9d62ed0c092cfc5": (
        "a392980d2b6cffa644431898be54b0045151319d1e7ec34f0cfed48767dd334f"
    ),
    "8c491190033a9af7e1d931d0b5dacc2ef47509b34dd0de67ed209b5203fc88c7": (
        "994793af429502c4ea2ebf6bf664629d07c1a9fe974af92966e4b8d2df7edc61"
    ),
}


def test_a_lock_made_for_other_content_is_not_used(root: Path, tmp_path: Path) -> None:
    file = environment_file(tmp_path / "tool.yaml", "packaging==24.1")
    locks.write(file)
    environment_file(file, "packaging==24.2")
    assert not locks.is_current(file)
    assert version_of(EnvironmentStore(root).build(file), "packaging") == "24.2"


def test_a_file_with_another_hash_than_the_lock_says_is_refused(root: Path, file: Path) -> None:
    lock = locks.write(file)
    first, rest = lock.read_text().split("\n", 1)
    lock.write_text(first + "\n" + re.sub("(--hash=sha256:)[0-9a-f]{6}", r"\g<1>000000", rest))
    with pytest.raises(EnvironmentFailed, match=r"(?i)hash"):
        EnvironmentStore(root).build(file)
    assert list(root.glob("*.*")) == []


def test_locks_name_no_package_index(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", str(file.parent))
    text = locks.write(file).read_text()
    assert "://" not in text
    assert str(file.parent) not in text
    assert not [
        line for line in text.splitlines() if line.lstrip().startswith(("--i", "--e", "--f"))
    ]


def test_the_lock_program_writes_and_compares(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lock_program.main(["--check", str(file)]) == 1
    assert "its lock is missing" in capsys.readouterr().err
    assert lock_program.main([str(file)]) == 0
    assert lock_program.main(["--check", str(file)]) == 0


def test_without_a_lock_versions_are_resolved_once_and_kept(
    root: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = EnvironmentStore(root).build(file)
    six = version_of(prefix, "six")
    (prefix / store.MARKER).unlink()

    def again(*_: object, **__: object) -> str:
        raise AssertionError("resolved a second time")

    monkeypatch.setattr(uvtool, "resolve", again)
    rebuilt = EnvironmentStore(root).build(file)
    assert rebuilt != prefix
    assert not prefix.exists()
    assert version_of(rebuilt, "six") == six


def test_packages_that_do_not_fit_leave_nothing_behind(root: Path, tmp_path: Path) -> None:
    file = environment_file(tmp_path / "x.yaml", "packaging==24.2", "packaging==24.1")
    with pytest.raises(EnvironmentFailed, match="unsatisfiable") as raised:
        EnvironmentStore(root).build(file)
    assert str(file) in raised.value.message
    assert list(root.glob("*.*")) == []
    environment_file(file, "packaging==24.2")
    assert version_of(EnvironmentStore(root).build(file), "packaging") == "24.2"


def test_an_environment_whose_interpreter_is_gone_is_built_again(root: Path, file: Path) -> None:
    prefix = EnvironmentStore(root).build(file)
    (prefix / "bin" / "python").unlink()
    (prefix / "bin" / "python").symlink_to("/nonexistent/python3")
    rebuilt = EnvironmentStore(root).build(file)
    assert rebuilt != prefix
    assert version_of(rebuilt, "packaging") == "24.2"


def test_a_store_that_cannot_be_written_is_named(file: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="JOBRUNNER_ENVS"):
        EnvironmentStore(file / "below-a-file").build(file)


KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from runner.standin import store
root, file, when, fifo, mark = Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:6]
real = store._install

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def install(spec, text, python, prefix):
    if when == "half":
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin" / "python").symlink_to(python.path)
        # an installer that outlives its builder, and writes when the builder is long dead
        code = 'mkfifo_read=$(cat "$1"); mkdir -p "$2/lib"; echo late > "$2/lib/late"; echo > "$3"'
        subprocess.Popen(["sh", "-c", code, "sh", fifo, str(prefix), mark])
        die()
    real(spec, text, python, prefix)

store._install = install
if when == "marker":
    store.write_json = die
if when == "link":
    store.replace_link = die
print("started", flush=True)
store.EnvironmentStore(root).build(file)
"""


@pytest.mark.parametrize("when", ["half", "marker", "link"])
def test_a_killed_build_is_never_used_half_and_never_in_the_way(
    root: Path, file: Path, tmp_path: Path, when: str
) -> None:
    fifo, mark = tmp_path / "fifo", tmp_path / "mark"
    os.mkfifo(fifo)
    os.mkfifo(mark)
    with start_python(KILLED, root, file, when, fifo, mark) as process:
        # the orphan holds the pipe open: read one line, not to the end
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        assert process.wait(60) == -signal.SIGKILL
        prefix = EnvironmentStore(root).build(file)
        assert version_of(prefix, "packaging") == "24.2"
        assert len([p for p in root.glob("*.*") if p.is_dir()]) == 1
        if when == "half":
            fifo.write_text("go")
            assert mark.read_text() == "\n"  # the orphan has written
    assert not (prefix / "lib" / "late").exists()
    assert EnvironmentStore(root).build(file) == prefix


def test_two_builders_at_once_build_once(root: Path, file: Path) -> None:
    both = [start_python(BUILD, root, file) for _ in range(2)]
    prefixes = {process.communicate(timeout=120)[0].splitlines()[-1] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(prefixes) == 1
    assert len(builds(root)) == 1


def test_snakemakes_flag_is_there_before_the_environment_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, seen = tmp_path / "conda" / "0123_", []
    real = store.replace_link

    def observed(link_path: Path, target: Path) -> None:
        seen.append((prefix.with_suffix(".env_setup_done").exists(), prefix.exists()))
        real(link_path, target)

    monkeypatch.setattr(store, "replace_link", observed)
    store.link(prefix, tmp_path)
    assert seen == [(True, False)]
    store.link(prefix, tmp_path)  # again, over itself
    assert prefix.resolve() == tmp_path.resolve()


def test_a_folder_of_a_real_conda_is_not_replaced(tmp_path: Path) -> None:
    prefix = tmp_path / "conda" / "0123_"
    prefix.mkdir(parents=True)
    with pytest.raises(EnvironmentFailed, match="Remove it"):
        store.link(prefix, tmp_path)


HOLD = """
import sys
from pathlib import Path
from runner.environments import creation_lock
with creation_lock(Path(sys.argv[1])):
    print("held", flush=True)
    if sys.argv[2:]:
        Path(sys.argv[2]).read_text()
"""


def test_the_creation_lock_lets_one_conda_at_a_time(tmp_path: Path) -> None:
    end = tmp_path / "end"
    os.mkfifo(end)
    first = start_python(HOLD, tmp_path / "conda", end)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = start_python(HOLD, tmp_path / "conda")
    assert second.stdout is not None
    assert "Waiting for another job's conda" in second.stdout.readline()
    end.write_text("")
    assert second.communicate(timeout=60)[0] == "held\n"
    assert first.wait(60) == 0
