"""Further repositories of nomenclature.yaml are frozen with the job and need no network."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from runner import processing
from runner.errors import ProcessingFailed
from runner.processing import PinnedProcessing
from tests.runner.environment_helpers import WORKFLOW, Repository, output_of


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def common(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "common")
    made.commit(definitions="first\n")
    return made


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "toy-workflow")


def _declare(project: Repository, url: str, more: str = "", name: str = "common") -> None:
    text = f"repositories:\n  {name}:\n    url: {url}\n{more}"
    project.commit(
        workflow_DOT_py=WORKFLOW, requirements_DOT_txt="six\n", nomenclature_DOT_yaml=text
    )


def _pin(project: Repository, store: Path, **options: Any) -> PinnedProcessing:
    return processing.pin(str(project.path), store=store, beside=(), **options)


def _as_nomenclature(folder: Path, url: str, revision: str, config: Path) -> str:
    """Do what nomenclature's `fetch_repo` does; give the commit it ends on."""

    def git(*arguments: str) -> str:
        return output_of(["git", "-C", str(folder), *arguments], GIT_CONFIG_GLOBAL=str(config))

    if folder.is_dir():
        assert git("config", "remote.origin.url").strip() == url
        git("fetch", "-v", "--", "origin")
    else:
        output_of(["git", "clone", "-v", "--", url, str(folder)], GIT_CONFIG_GLOBAL=str(config))
    git("reset", "--hard")
    git("checkout", revision)
    git("reset", "--hard")
    git("clean", "-xdf")
    if revision == "main":
        git("pull", "-v", "--", "origin")
    assert git("config", "remote.origin.url").strip() == url
    return git("rev-parse", "HEAD").strip()


def _writable_copy(checkout: Path, target: Path) -> Path:
    shutil.copytree(checkout, target, symlinks=True)
    output_of(["chmod", "-R", "u+w", str(target)])
    return target


@pytest.mark.parametrize("kind", ["main", "hash", "short hash", "release", "branch"])
@pytest.mark.parametrize("there", [True, False], ids=["cloned before", "cloned by nomenclature"])
def test_nomenclature_gets_the_pinned_commit_without_the_repository(
    project: Repository, common: Repository, store: Path, tmp_path: Path, kind: str, there: bool
) -> None:
    first = common.git("rev-parse", "HEAD")
    common.git("tag", "v1.0")
    common.git("branch", "dev")
    common.commit(definitions="second\n")
    revisions = {"hash": first, "short hash": first[:8], "release": "v1.0", "branch": "dev"}
    revision = revisions.get(kind, "main")
    wanted = common.git("rev-parse", revision + "^{commit}")
    key = {"main": "", "release": "    release: v1.0\n"}.get(kind, f"    hash: '{revision}'\n")
    url = common.path.as_uri()
    _declare(project, url, key)
    pinned = _pin(project, store)
    assert pinned.as_config()["repositories"] == {
        "common": {"url": url, "revision": revision, "commit": wanted}
    }
    common.commit(definitions="later\n")
    common.path.rename(tmp_path / "gone")
    copy = _writable_copy(pinned.checkout, tmp_path / "copy")
    assert (copy / "common" / ".git").is_dir()
    if not there:
        shutil.rmtree(copy / "common")
    assert pinned.git_config is not None
    assert _as_nomenclature(copy / "common", url, revision, pinned.git_config) == wanted
    assert _as_nomenclature(copy / "common", url, revision, pinned.git_config) == wanted


def test_a_later_job_of_the_same_commit_sees_what_is_newer_and_the_earlier_one_does_not(
    project: Repository, common: Repository, store: Path
) -> None:
    _declare(project, common.path.as_uri())
    before = _pin(project, store)
    newer = common.commit(definitions="second\n")
    after = _pin(project, store)
    assert before.commit == after.commit
    assert after.repositories[0].commit == newer
    assert (before.checkout / "common" / "definitions").read_text() == "first\n"
    assert (after.checkout / "common" / "definitions").read_text() == "second\n"
    assert before.environment == after.environment
    assert _pin(project, store).checkout == after.checkout


def test_the_git_configuration_keeps_what_the_user_has_configured(
    project: Repository,
    common: Repository,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    _declare(project, common.path.as_uri())
    config = _pin(project, store).git_config
    (tmp_path / ".gitconfig").write_text("[http]\n\tproxy = http://proxy.example:3128\n")
    shown = output_of(
        ["git", "config", "--get", "http.proxy"],
        GIT_CONFIG_GLOBAL=str(config),
        HOME=str(tmp_path),
    )
    assert shown == "http://proxy.example:3128\n"


def test_without_further_repositories_there_is_no_git_configuration(
    project: Repository, store: Path
) -> None:
    project.commit(
        workflow_DOT_py=WORKFLOW,
        requirements_DOT_txt="six\n",
        nomenclature_DOT_yaml="dimensions: [region]\n",
    )
    pinned = _pin(project, store)
    assert pinned.git_config is None
    assert pinned.as_config()["git_config"] is None
    assert pinned.repositories == ()


def test_credentials_of_a_further_repository_are_not_recorded(tmp_path: Path) -> None:
    from runner.processing.companions import Companion

    one = Companion("c", "https://u:secret@h.org/c.git", "main", "0" * 40, tmp_path)
    assert one.as_config()["url"] == "https://h.org/c.git"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("repositories: [x]\n", "no mapping"),
        ("repositories: {common: {hash: abc}}\n", "no `url`"),
        ("repositories: {common: {url: 'file:///x', hash: a, release: b}}\n", "both"),
        ("repositories: {../common: {url: 'file:///x'}}\n", "cannot name a folder"),
        ("repositories: {.git: {url: 'file:///x'}}\n", "cannot name a folder"),
        ("repositories: {common: {url: '--upload-pack=x'}}\n", "no git URL"),
        ("repositories: {common: {url: 'file:///nonexistent/x'}}\n", "cannot be read"),
        ("repositories: {workflow.py: {url: 'file:///x'}}\n", "Rename one"),
        ("a: [\n", "cannot be read"),
    ],
)
def test_a_wrong_entry_is_named(
    project: Repository, store: Path, text: str, complaint: str
) -> None:
    project.commit(workflow_DOT_py=WORKFLOW, nomenclature_DOT_yaml=text)
    with pytest.raises(ProcessingFailed, match=complaint) as raised:
        _pin(project, store)
    assert "nomenclature.yaml" in raised.value.message


def test_a_release_that_does_not_exist_is_named(
    project: Repository, common: Repository, store: Path
) -> None:
    _declare(project, common.path.as_uri(), "    release: v9\n")
    with pytest.raises(ProcessingFailed, match=r"'common' named in nomenclature.yaml.*'v9'"):
        _pin(project, store)
