from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import launch
from runner.errors import (
    InvalidConfiguration,
    InvalidRequest,
    NotFound,
    ReleaseConflict,
    ReleaseDamaged,
    UnsafePath,
)
from runner.home import Home
from runner.prepared import Prepared
from runner.release import ReleaseStore

from .conftest import TOY


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(tmp_path / "releases")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TOY, tmp_path / "source"))


def _files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_publishing_the_same_content_again_is_no_error(store: ReleaseStore, source: Path) -> None:
    assert store.publish(str(source), "1").digest == store.publish(str(source), "1").digest
    assert [release.label for release in store.all()] == ["1"]


def test_a_label_never_gets_other_content(store: ReleaseStore, source: Path) -> None:
    first = store.publish(str(source), "1")
    (source / "workflow" / "toy" / "Snakefile").write_text("# other\n")
    with pytest.raises(ReleaseConflict, match="choose another"):
        store.publish(str(source), "1")
    assert store.get("1").digest == first.digest
    assert not list(store.folder.glob(".draft-*"))


def test_a_release_does_not_change_with_its_source(store: ReleaseStore, source: Path) -> None:
    store.publish(str(source), "1")
    (source / "workflow" / "toy" / "Snakefile").write_text("# other\n")
    assert "rule first" in store.get("1").job_type("toy").snakefile.read_text()


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_changed_release_is_not_used(store: ReleaseStore, source: Path, change: str) -> None:
    store.publish(str(source), "1")
    folder = store.get("1").folder / "workflow" / "toy"
    if change == "edit":
        (folder / "Snakefile").chmod(0o644)
        (folder / "Snakefile").write_text("# other\n")
    elif change == "add":
        (folder / "more.smk").write_text("")
    else:
        (folder / "Snakefile").unlink()
    with pytest.raises(ReleaseDamaged):
        store.get("1")


def test_a_git_revision_is_published_as_it_was_committed(
    store: ReleaseStore, git_repository: Callable[[dict[str, str]], Path]
) -> None:
    repository = git_repository(_files(TOY))
    (repository / "workflow" / "toy" / "Snakefile").write_text("# not committed\n")
    release = store.publish(str(repository), "1", "main")
    commit = subprocess.check_output(["git", "-C", str(repository), "rev-parse", "HEAD"], text=True)
    assert release.revision == commit.strip()
    assert "rule first" in store.get("1").job_type("toy").snakefile.read_text()


def test_an_unknown_revision_is_named(
    store: ReleaseStore, git_repository: Callable[[dict[str, str]], Path]
) -> None:
    repository = git_repository(_files(TOY))
    with pytest.raises(InvalidRequest, match="no revision 'nowhere'"):
        store.publish(str(repository), "1", "nowhere")
    with pytest.raises(InvalidRequest):
        store.publish(str(repository), "1", "--upload-pack=touch x")


def test_links_out_of_the_source_are_refused(store: ReleaseStore, source: Path) -> None:
    (source / "workflow" / "toy" / "link").symlink_to("/etc/passwd")
    with pytest.raises(InvalidConfiguration, match="leads out"):
        store.publish(str(source), "1")
    assert store.all() == []


def test_a_source_without_a_valid_job_type_is_refused(store: ReleaseStore, source: Path) -> None:
    (source / "workflow" / "toy" / "jobtype.yaml").write_text("title: x\n")
    with pytest.raises(InvalidConfiguration):
        store.publish(str(source), "1")
    with pytest.raises(InvalidRequest, match="no folder workflow"):
        store.publish(str(source / "workflow"), "1")
    with pytest.raises(UnsafePath):
        store.publish(str(source), "../1")
    assert store.all() == []


def test_an_old_release_stays_runnable_beside_a_new_one(
    home: Home, text_file: Path, source: Path, toy: Callable[..., Prepared]
) -> None:
    old = toy()
    snakefile = source / "workflow" / "toy" / "Snakefile"
    snakefile.write_text(snakefile.read_text().replace("wc -w", "wc -c"))
    home.releases.publish(str(source), "toy-2")
    new = launch.create(
        home, "toy", inputs={"text": text_file}, params={}, version="toy-2", profile_name="plain"
    )
    assert new.start(new.options()).wait() == "succeeded"
    assert old.start(old.options()).wait() == "succeeded"
    counts = [(job.job.path / "results" / "third.txt").read_text().strip() for job in (old, new)]
    assert counts == ["3", "13"]


def test_the_newest_release_of_a_type_is_the_default(home: Home, source: Path) -> None:
    (source / "workflow" / "toy" / "Snakefile").write_text("rule first:\n")
    home.releases.publish(str(source), "toy-2")
    assert home.releases.newest("toy").label == "toy-2"
    assert home.releases.newest("import_timeseries").label != "toy-2"
    with pytest.raises(NotFound, match="toy"):
        home.releases.newest("nothing")


def test_jobs_leave_their_release_as_it_was_published(
    home: Home, source: Path, text_file: Path, toy: Callable[..., Prepared]
) -> None:
    script = source / "workflow" / "toy" / "scripts" / "used.py"
    script.parent.mkdir()
    script.write_text("import other\n")
    (script.parent / "other.py").write_text("")
    release = home.releases.publish(str(source), "toy-2")
    before = sorted(release.folder.rglob("*"))
    assert any(path.suffix == ".pyc" for path in before)  # compiled when it was published
    program = release.folder / "workflow" / "toy" / "scripts" / "used.py"
    prepared = launch.create(
        home,
        "toy",
        inputs={"text": text_file},
        params={"command": f"{sys.executable} {program}"},
        version="toy-2",
        profile_name="plain",
    )
    for compiled in release.folder.rglob("*.pyc"):
        compiled.unlink()
    assert prepared.start(prepared.options()).wait() == "succeeded"
    assert not list(release.folder.rglob("*.pyc"))
