"""A version enters the layer store whole and once, and never changes again."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disks import mounted
from tests.workflow.layering import SCRIPTS, SQUARES, Job, add_regions, squares
from tests.workflow.warm import Warm

# what kills the stage at a certain moment, as a crash of the machine would
KILLER = """
import os, runpy, signal, sys
sys.path[:0] = [{scripts!r}, {common!r}]
import layer_store, stagekit.files
def die(*args, **more):
    os.kill(os.getpid(), signal.SIGKILL)
{patch}
sys.argv[0] = {script!r}
runpy.run_path({script!r}, run_name="__main__")
"""
MOMENTS = {
    "before the version has its name": "layer_store._sync = die",
    "before the registry is written": "layer_store.list_all = die",
    "before the result is written": "import stagekit.files\nreal = stagekit.files.write_json\n"
    "def write(path, document):\n"
    "    die() if path.name == 'registered.json' else real(path, document)\n"
    "stagekit.files.write_json = write",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, geo_warm: Warm, empty_sqlite: Path) -> Path:
    """Give the folder of a job up to the stage write, made once for all tests."""
    folder = tmp_path_factory.mktemp("finished")
    platform = Path(shutil.copy(empty_sqlite, folder / "platform.db"))
    add_regions(platform, list(SQUARES))
    Job(folder, geo_warm, platform).through(squares(folder / "squares.geojson"))
    return folder


@pytest.fixture
def written(finished: Path, tmp_path: Path, geo_warm: Warm) -> Job:
    """Give a job up to the stage write, of the test's own."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return Job(tmp_path, geo_warm, tmp_path / "platform.db")


def next_job(written: Job, identity: str) -> Job:
    """Give a further job, with other shapes as far as the stage register sees."""
    job = written.another(identity)
    for name in ("results", "layer.json", "layer.parquet", "source.json"):
        source = written.folder / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, job.folder / name)
    layer = json.loads((job.folder / "layer.json").read_text())
    layer["checksum"] = f"sha256:{identity}"
    (job.folder / "layer.json").write_text(json.dumps(layer))
    return job


def checksums(folder: Path) -> dict[str, str]:
    """Give the content of all files of a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def killing(job: Job, patch: str) -> Path:
    """Write a script that runs the stage and dies in it."""
    script = job.folder / "killing.py"
    text = KILLER.format(
        scripts=str(SCRIPTS), common=str(SCRIPTS.parents[1] / "common"), patch=patch,
        script=str(SCRIPTS / "layer_register.py"),
    )  # fmt: skip
    script.write_text(text)
    return script


def test_the_registry_says_all_about_a_version(written: Job) -> None:
    assert written.register("--attribution", "© Somebody"), written.said
    (entry,) = written.registry
    assert (entry["name"], entry["version"], entry["job"]) == ("regions", "1", "01J")
    assert entry["attribution"] == "© Somebody"
    assert entry["bounds"] == [0, 0, 70, 50]
    assert entry["checksum"].startswith("sha256:")
    assert list(entry["levels"]) == ["low", "high"]
    folder = written.store / "regions" / "1"
    sums = checksums(folder)
    assert {f["path"]: f["sha256"] for f in entry["files"]} == {
        name: found for name, found in sums.items() if name != "layer.json"
    }
    assert {Path(name).suffix for name in sums} == {
        ".parquet", ".fgb", ".pmtiles", ".png", ".geojson", ".json",
    }  # fmt: skip
    assert "regions-low.geojson" in sums
    assert json.loads((folder / "layer.json").read_text()) == entry
    assert entry == json.loads((written.folder / "registered.json").read_text())
    assert oct((folder / "regions.fgb").stat().st_mode)[-3:] == "444"


def test_a_new_version_gets_the_next_number_and_the_old_one_stays_byte_for_byte(
    written: Job,
) -> None:
    assert written.register()
    before = checksums(written.store / "regions" / "1")
    second = next_job(written, "02J")
    assert second.register(), second.said
    assert [(e["version"], e["job"]) for e in written.registry] == [("1", "01J"), ("2", "02J")]
    assert checksums(written.store / "regions" / "1") == before
    third = next_job(written, "03J")
    assert third.register("--version", "2026-11")
    assert [e["version"] for e in written.registry] == ["1", "2", "2026-11"]
    assert checksums(written.store / "regions" / "1") == before


def test_an_existing_version_is_an_error_before_anything_is_written(written: Job) -> None:
    assert written.register("--version", "2026-11")
    before = checksums(written.store)
    second = next_job(written, "02J")
    assert not second.check("--version", "2026-11")
    assert second.error["code"] == "version_exists"
    assert "of job 01J" in second.error["message"]
    assert "'1' would be next" in second.error["message"]
    assert not second.register("--version", "2026-11")
    assert second.error["code"] == "version_exists"
    assert checksums(written.store) == before


def test_a_stage_that_is_started_again_registers_once(written: Job) -> None:
    assert written.register()
    before = checksums(written.store)
    assert written.check(), "a rerun of the same job is not refused"
    assert written.register()
    assert checksums(written.store) == before
    assert len(written.registry) == 1


def test_the_same_job_with_other_shapes_does_not_change_its_version(written: Job) -> None:
    assert written.register()
    before = checksums(written.store)
    written.through(squares(written.folder / "other.geojson", {"Asia": (1.0, 1.0)}))
    assert not written.register()
    assert written.error["code"] == "version_exists"
    assert checksums(written.store) == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_leaves_the_registry_whole_and_the_next_start_ends_the_work(
    written: Job, moment: str
) -> None:
    first = next_job(written, "00J")
    assert first.register()
    known = checksums(written.store / "regions" / "1")
    assert not written.register(script=killing(written, MOMENTS[moment]))
    listed = [entry["version"] for entry in written.registry]
    assert listed[0] == "1"
    for entry in written.registry:
        for file in entry["files"]:
            path = written.store / entry["name"] / entry["version"] / file["path"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    assert written.register(), written.said
    assert [(e["version"], e["job"]) for e in written.registry] == [("1", "00J"), ("2", "01J")]
    assert checksums(written.store / "regions" / "1") == known
    assert sorted(p.name for p in (written.store / "regions").iterdir()) == ["1", "2"]
    assert not list(written.store.glob(".incoming-*"))


def test_what_a_killed_job_left_is_entered_by_the_next_one_of_another(written: Job) -> None:
    script = killing(written, MOMENTS["before the registry is written"])
    assert not written.register(script=script)
    assert not (written.store / "layers.json").exists()
    other = next_job(written, "02J")
    assert other.register(), other.said
    assert [(e["version"], e["job"]) for e in written.registry] == [("1", "01J"), ("2", "02J")]


def test_a_damaged_registry_is_made_again_of_the_folders(written: Job) -> None:
    assert written.register()
    expected = written.registry
    (written.store / "layers.json").write_text('{"format": 1, "lay')
    assert written.register(), written.said
    assert "damaged" in written.said
    assert written.registry == expected


def test_jobs_at_once_get_a_version_each(written: Job, geo_python: Path) -> None:
    jobs = [written, *(next_job(written, f"0{i}K") for i in (2, 3))]
    running = [
        subprocess.Popen([str(geo_python), str(SCRIPTS / "layer_register.py"),
                          *map(str, job.registering())])
        for job in jobs
    ]  # fmt: skip
    assert [process.wait() for process in running] == [0, 0, 0]
    assert sorted(entry["version"] for entry in written.registry) == ["1", "2", "3"]
    assert len({entry["job"] for entry in written.registry}) == 3


@pytest.fixture(scope="session")
def geo_python() -> Path:
    """The stage register needs nothing but Python."""
    return Path(sys.executable)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of one megabyte."""
    with mounted(tmp_path / "small", "1m") as folder:
        yield folder


def test_a_full_store_is_one_clear_error_and_goes_on_when_there_is_room(
    written: Job, small: Path
) -> None:
    written.store = small / "layers"
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * 980_000)
    assert not written.register()
    assert written.error["code"] == "disk_full", written.said
    assert not list(written.store.glob("*/*"))
    assert not list(written.store.glob(".incoming-*"))
    ballast.unlink()
    assert written.register(), written.said
    assert len(written.registry) == 1


def test_a_store_that_may_only_be_read_is_told_before_anything_is_done(
    written: Job, small: Path
) -> None:
    written.store = small / "layers"
    assert written.register()
    before = checksums(small)
    second = next_job(written, "02J")
    remount = ["mount", "-o", "remount,ro", str(small)]
    subprocess.run(remount, check=True)
    assert not second.check()
    assert second.error["code"] == "store_rights"
    assert "platform.layers" in second.error["message"]
    assert not second.register()
    assert second.error["code"] == "store_rights"
    assert checksums(small) == before


def test_without_a_layer_store_there_is_advice(layer_job: Job) -> None:
    assert layer_job.read(squares(layer_job.folder / "squares.geojson"))
    options = ["--layer", layer_job.folder / "none", "--files", layer_job.folder / "none"]
    options += ["--output", layer_job.folder / "x", "--name", "a", "--job", "1"]
    script = SCRIPTS / "layer_register.py"
    done = layer_job.python.run([script, *options, "--error", layer_job.folder / "error.json"])
    assert done.returncode == 1
    assert layer_job.error["code"] == "no_layer_store"
    layer_job.store = layer_job.folder / "squares.geojson"
    assert not layer_job.check()
    assert layer_job.error["code"] == "store_rights"
