"""Stage publish: whole snapshots at another place, the newest of them, and nothing else touched."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.sftp import SftpServer, serving
from tests.workflow.snapshots import SCRIPTS, good
from tests.workflow.warm import Warm, warm

FOREIGN = "night-20260101T000000Z-theirs"


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[SftpServer]:
    """Start a server for the session."""
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def publish_warm(stage_env: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Give an interpreter of the stage publish."""
    python = stage_env("publish") / "bin" / "python"
    with warm(python, tmp_path_factory.mktemp("warm"), "fsspec", "paramiko") as waiting:
        yield waiting


class Publishing:
    """Finished snapshots, and the stage that publishes them."""

    def __init__(self, folder: Path, python: Warm, to: str, options: dict[str, Any]) -> None:
        self.folder, self.python, self.to, self.options = folder, python, to, options
        self.there = folder / "there"
        self.there.mkdir()

    def finished(self, day: int, job: str = "J1") -> dict[str, Any]:
        """Make a finished snapshot; give its manifest."""
        results = self.folder / "results"
        (results / "data" / "csv").mkdir(parents=True, exist_ok=True)
        data = results / "data" / "csv" / "timeseries.csv"
        data.write_text(f"value\n{day}\n" * 1000)
        text = data.read_bytes()
        file = {"path": "data/csv/timeseries.csv", "bytes": len(text),
                "sha256": hashlib.sha256(text).hexdigest()}  # fmt: skip
        manifest = {"format": "jobrunner-snapshot/1", "name": "night", "job": job,
                    "time": f"2026-11-{day:02}T02:00:00.125Z", "files": [file]}  # fmt: skip
        (results / "manifest.json").write_text(json.dumps(manifest))
        with zipfile.ZipFile(results / "snapshot.zip", "w") as archive:
            archive.write(data, "data/csv/timeseries.csv")
        return manifest

    def run(self, *more: str, patch: str = "") -> Any:
        """Publish it."""
        results, script = self.folder / "results", SCRIPTS / "snapshot_publish.py"
        if patch:
            lines = (
                f"import runpy, sys\nsys.path[:0] = [{str(SCRIPTS)!r}]\n{patch}\n",
                f"runpy.run_path({str(script)!r}, run_name='__main__')\n",
            )
            script = self.folder / "patched.py"
            script.write_text("".join(lines))
        environment = {**os.environ, "JOBRUNNER_PUBLISH_OPTIONS": json.dumps(self.options)}
        environment.setdefault("JOBRUNNER_PLATFORM_WAIT", "0")
        return self.python.run(
            [script, "--manifest", results / "manifest.json", "--zip", results / "snapshot.zip",
             "--to", self.to, "--output", results / "published.json",
             "--error", self.folder / "error.json", *more],
            environment,
        )  # fmt: skip

    def refused(self, *more: str) -> Any:
        """Publish where that must fail; give the error."""
        answer = self.run(*more)
        assert answer.returncode == 1, answer.stdout
        return json.loads((self.folder / "error.json").read_text())

    @property
    def names(self) -> list[str]:
        """Give what lies at the place, hidden things included."""
        return sorted(path.name for path in self.there.iterdir())


@pytest.fixture(params=["folder", "file", "sftp"])
def place(request: pytest.FixtureRequest, tmp_path: Path, publish_warm: Warm) -> Publishing:
    """Give a place of each kind."""
    there = tmp_path / "there"
    if request.param != "sftp":
        to = f"file://{there}" if request.param == "file" else str(there)
        return Publishing(tmp_path, publish_warm, to, {})
    server: SftpServer = request.getfixturevalue("sftp_server")
    return Publishing(tmp_path, publish_warm, server.url(there), server.options())


@pytest.fixture
def sftp(tmp_path: Path, publish_warm: Warm, sftp_server: SftpServer) -> Publishing:
    """Give a place behind SFTP."""
    to = sftp_server.url(tmp_path / "there")
    return Publishing(tmp_path, publish_warm, to, sftp_server.options())


def test_a_snapshot_arrives_whole_and_the_newest_are_kept(place: Publishing) -> None:
    theirs = place.there / FOREIGN
    theirs.mkdir()
    (theirs / "manifest.json").write_text('{"format": "another"}')
    (place.there / "night.txt").write_text("a note")
    for day in (3, 1, 2):
        manifest = place.finished(day)
        good(place.run("--keep", "2", "--as", "files" if day == 1 else "zip"))
        if day == 1:
            mine = place.there / "night-20261101T020000Z-J1"
            assert json.loads((mine / "manifest.json").read_text()) == manifest
            (mine / "note.txt").write_text("somebody's own")
    assert place.names == [
        FOREIGN, "night-20261101T020000Z-J1", "night-20261102T020000Z-J1",
        "night-20261103T020000Z-J1", "night.txt",
    ]  # fmt: skip
    # of the oldest only what somebody else put there is left
    assert [path.name for path in mine.rglob("*")] == ["note.txt"]
    newest = place.there / "night-20261103T020000Z-J1"
    assert zipfile.ZipFile(newest / "night.zip").testzip() is None
    document = json.loads((place.folder / "results" / "published.json").read_text())
    assert document["removed"] == ["night-20261101T020000Z-J1"]
    assert document["folder"] == "night-20261102T020000Z-J1"


def test_it_is_published_once_however_often_the_stage_is_started(place: Publishing) -> None:
    place.finished(1)
    killed = (
        "import os, fsspec\n"
        "from fsspec.implementations.local import LocalFileSystem as a\n"
        "from fsspec.implementations.sftp import SFTPFileSystem as b\n"
        "for kind in (a, b): kind.mv = lambda *_, **__: os.kill(os.getpid(), 9)\n"
    )
    assert place.run(patch=killed).returncode == -9
    assert place.names == [".night-20261101T020000Z-J1.partial"]
    good(place.run())
    assert place.names == ["night-20261101T020000Z-J1"]
    inode = (place.there / place.names[0] / "night.zip").stat().st_ino
    assert "published already" in good(place.run())
    assert (place.there / place.names[0] / "night.zip").stat().st_ino == inode


def test_where_folders_cannot_be_renamed_the_manifest_comes_last(
    tmp_path: Path, publish_warm: Warm
) -> None:
    """As in object stores; fsspec's file system in memory stands for one."""
    memory = Publishing(tmp_path, publish_warm, "memory://bucket/snapshots", {})
    seen = (
        "from fsspec.implementations.memory import MemoryFileSystem as m\n"
        "put, m.makedirs = m.put_file, lambda *_, **__: None\n"
        "def noted(self, local, there, **more):\n"
        "    print('put', there)\n"
        "    return put(self, local, there, **more)\n"
        "m.put_file = noted\n"
    )
    memory.finished(1)
    said = good(memory.run("--as", "files", "--keep", "1", patch=seen))
    puts = [line.rpartition("/")[2] for line in said.splitlines() if line.startswith("put ")]
    assert puts == ["timeseries.csv", "manifest.json"]


def test_a_server_whose_key_is_not_known_is_not_trusted(
    sftp: Publishing, sftp_server: SftpServer
) -> None:
    sftp.finished(1)
    sftp.options["known_hosts"] = "/dev/null"
    assert sftp.refused()["code"] == "publish_unknown_host"
    other = sftp.folder / "other_hosts"
    known = (sftp_server.folder / "known_hosts").read_text().split()
    stranger = (sftp_server.folder / "stranger.pub").read_text()
    other.write_text(f"{known[0]} {stranger}")
    sftp.options["known_hosts"] = str(other)
    assert sftp.refused()["code"] == "publish_unknown_host"
    assert sftp.names == []


def test_a_key_that_is_not_let_in_is_an_error_without_the_password(
    sftp: Publishing, sftp_server: SftpServer
) -> None:
    sftp.finished(1)
    stranger = str(sftp_server.folder / "stranger")
    sftp.options |= {"key_filename": stranger, "password": "s3cr3t-word"}
    answer = sftp.run()
    error = json.loads((sftp.folder / "error.json").read_text())
    assert error["code"] == "publish_login", error
    assert "s3cr3t-word" not in json.dumps(error) + answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("to", "code"),
    [
        ("/nowhere/at/all", "publish_missing"),
        ("file:///nowhere/at/all", "publish_missing"),
        ("ftq://host/x", "publish_unsupported"),
        ("sftp://127.0.0.1:1/x", "publish_failed"),
        ("sftp://me:s3cr3t-word@host/x", "publish_password"),
    ],
)
def test_a_place_that_is_none_is_one_clear_error(
    tmp_path: Path, publish_warm: Warm, to: str, code: str
) -> None:
    nowhere = Publishing(tmp_path, publish_warm, to, {})
    nowhere.finished(1)
    error = nowhere.refused()
    assert error["code"] == code, error
    assert "s3cr3t-word" not in json.dumps(error)


def test_a_missing_folder_and_wrong_options_are_said(sftp: Publishing) -> None:
    sftp.finished(1)
    sftp.to += "/deeper"
    assert sftp.refused()["code"] == "publish_missing"
    sftp.options = ["no object"]  # type: ignore[assignment]
    assert sftp.refused()["code"] == "bad_setting"
