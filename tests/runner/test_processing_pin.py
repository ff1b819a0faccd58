"""A processing repository is pinned to content that never changes, and never costs a secret."""

from __future__ import annotations

import base64
import fcntl
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from runner import processing
from runner.errors import JobRunnerError, ProcessingFailed
from runner.processing import PinnedProcessing, immutable, repository
from tests.runner.environment_helpers import WORKFLOW, Repository, output_of, start_python


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def project(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "toy-workflow")
    made.commit(workflow_DOT_py=WORKFLOW, requirements_DOT_txt="six\n", notes="first\n")
    return made


def pin(source: object, store: Path, **options: Any) -> PinnedProcessing:
    """Pin, without the packages that real repositories get beside their own."""
    return processing.pin(str(source), store=store, **{"beside": (), **options})


def test_a_branch_a_tag_a_commit_and_its_beginning_are_all_made_full_commits(
    project: Repository, store: Path
) -> None:
    first = project.git("rev-parse", "HEAD")
    project.git("tag", "-a", "v1", "-m", "one")
    second = project.commit(notes="second\n")
    project.git("branch", "feature/x")
    third = project.commit(notes="third\n")
    url = project.path.as_uri()
    wanted = {None: third, "v1": first, "feature/x": second, second: second, first[:7]: first}
    found = {revision: pin(url, store, revision=revision) for revision in wanted}
    assert {revision: one.commit for revision, one in found.items()} == wanted
    assert (found["v1"].checkout / "notes").read_text() == "first\n"
    assert (found["feature/x"].checkout / "notes").read_text() == "second\n"
    assert found["v1"].checkout == store / f"toy-workflow-{first[:12]}" / "checkout"
    assert found["v1"].as_config()["revision"] == "v1"
    assert found["v1"].as_config()["repository"] == url


def test_a_pin_stays_when_the_branch_moves_on(project: Repository, store: Path) -> None:
    before = pin(project.path, store, revision="main")
    project.commit(notes="moved\n")
    after = pin(project.path, store, revision="main")
    assert before.commit != after.commit
    assert (before.checkout / "notes").read_text() == "first\n"
    assert (after.checkout / "notes").read_text() == "moved\n"


def test_a_branch_rewritten_by_force_is_followed(project: Repository, store: Path) -> None:
    pin(project.path, store, revision="main")
    project.git("commit", "--quiet", "--amend", "-m", "rewritten")
    rewritten = project.git("rev-parse", "HEAD")
    assert pin(project.path, store, revision="main").commit == rewritten


def test_a_commit_pinned_before_needs_the_repository_no_more(
    project: Repository, store: Path
) -> None:
    first = pin(project.path.as_uri(), store)
    project.path.rename(project.path.with_name("gone"))
    again = pin(project.path.as_uri(), store, revision=first.commit)
    assert (again.checkout, again.environment) == (first.checkout, first.environment)
    assert pin(project.path.as_uri(), store, revision=first.commit[:8]).commit == first.commit
    with pytest.raises(ProcessingFailed, match="cannot be read"):
        pin(project.path.as_uri(), store, revision="main")


def test_a_full_commit_pinned_before_is_not_even_asked_for(
    project: Repository, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pin(project.path, store)

    def asked(*_: object) -> None:
        raise AssertionError("the repository was asked")

    monkeypatch.setattr(repository.Mirror, "update", asked)
    assert pin(project.path, store, revision=first.commit).checkout == first.checkout


def test_a_checkout_is_made_by_one_job_at_a_time(store: Path) -> None:
    (store / "locks").mkdir(parents=True)
    made = []

    def make(draft: Path) -> None:
        draft.mkdir()
        with (store / "locks" / "a-0").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.append(draft)

    immutable.once(store, store / "a-0" / "checkout", make)
    immutable.once(store, store / "a-0" / "checkout", make)
    assert len(made) == 1


def test_a_store_that_cannot_be_written_is_named(project: Repository, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProcessingFailed, match="cannot be prepared in"):
        pin(project.path, tmp_path / "file" / "store")


def test_the_checkout_is_read_only_and_made_once(project: Repository, store: Path) -> None:
    checkout = pin(project.path, store).checkout
    modes = {path.stat().st_mode & 0o222 for path in [checkout, *checkout.rglob("*")]}
    assert modes == {0}
    made = checkout.stat().st_ctime_ns
    assert pin(project.path, store).checkout.stat().st_ctime_ns == made


def test_a_checkout_that_was_killed_half_way_is_never_used(
    project: Repository, store: Path
) -> None:
    half = store / f"toy-workflow-{project.git('rev-parse', 'HEAD')[:12]}" / ".checkout.dead"
    half.mkdir(parents=True)
    (half / "workflow.py").write_text("")
    half.chmod(0o555)
    assert (pin(project.path, store).checkout / "notes").is_file()
    assert not half.exists()


PIN = """
import sys
from pathlib import Path
from runner.processing import pin
print(pin(sys.argv[1], store=Path(sys.argv[2]), beside=()).environment)
"""


def test_two_jobs_at_once_prepare_one_checkout(project: Repository, store: Path) -> None:
    both = [start_python(PIN, project.path, store) for _ in range(2)]
    shown = {process.communicate(timeout=120)[0].splitlines()[-1] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(shown) == 1
    assert len(list(store.glob("toy-workflow-*/checkout"))) == 1


def test_changes_that_are_not_committed_are_left_out_with_a_warning(
    project: Repository, store: Path
) -> None:
    assert pin(project.path, store).warnings == ()
    (project.path / "notes").write_text("not committed\n")
    pinned = pin(project.path, store)
    assert (pinned.checkout / "notes").read_text() == "first\n"
    assert "not committed" in pinned.warnings[0]
    assert "notes" in pinned.warnings[0]


def test_a_folder_within_a_repository_is_pinned_by_its_content(
    project: Repository, store: Path
) -> None:
    project.commit(sub__workflow_DOT_py=WORKFLOW, _DOT_gitignore="*.log\n", sub__a="1\n")
    (project.path / "sub" / "run.log").write_text("ignored by git")
    (project.path / "sub" / "new.yaml").write_text("not yet added")
    (project.path / "sub" / "requirements.txt").write_text("six\n")
    pinned = pin(project.path / "sub", store)
    names = {path.name for path in pinned.checkout.iterdir()}
    assert names == {"workflow.py", "a", "new.yaml", "requirements.txt"}
    assert pinned.commit.startswith("sha256:")
    assert pin(project.path / "sub", store).checkout == pinned.checkout
    (project.path / "sub" / "a").write_text("2\n")
    assert pin(project.path / "sub", store).commit != pinned.commit
    assert (pinned.checkout / "a").read_text() == "1\n"
    with pytest.raises(ProcessingFailed, match="within the repository"):
        pin(project.path / "sub", store, revision="main")


def test_a_plain_folder_is_copied(tmp_path: Path, store: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "workflow.py").write_text(WORKFLOW)
    (folder / "requirements.txt").write_text("six\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "workflow.pyc").write_text("")
    pinned = pin(folder, store)
    assert {p.name for p in pinned.checkout.iterdir()} == {"workflow.py", "requirements.txt"}
    (folder / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ProcessingFailed, match="leads out"):
        pin(folder, store)
    assert list(store.glob(".folder-*")) == []


@pytest.mark.parametrize(
    "revision",
    [
        "--upload-pack=touch TOUCHED",
        "-x",
        "a b",
        "a..b",
        "main@{1}",
        "v1^",
        "~1",
        "x:y",
        "",
        "a\nb",
    ],
)
def test_a_revision_cannot_be_an_option_or_an_expression(
    project: Repository, store: Path, tmp_path: Path, revision: str
) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(ProcessingFailed, match="cannot be a git revision"):
        pin(project.path, store, revision=revision.replace("TOUCHED", str(touched)))
    assert not touched.exists()


@pytest.mark.parametrize(
    "source",
    ["--upload-pack=touch {}", "ext::sh -c touch% {}", "-oProxyCommand=touch:{}", "nonsense", ""],
)
def test_a_source_cannot_run_a_command(store: Path, tmp_path: Path, source: str) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(ProcessingFailed):
        pin(source.format(touched), store)
    assert not touched.exists()


def test_an_unknown_revision_is_reported_with_the_branches(
    project: Repository, store: Path
) -> None:
    project.git("branch", "release/2024")
    with pytest.raises(ProcessingFailed, match="no branch, tag or commit 'nope'") as raised:
        pin(project.path, store, revision="nope")
    assert "release/2024" in raised.value.message
    with pytest.raises(ProcessingFailed, match="has no commit 0123456789"):
        pin(project.path, store, revision="0123456789" * 4)


def test_a_name_that_is_both_branch_and_tag_is_not_guessed(
    project: Repository, store: Path
) -> None:
    project.git("tag", "both")
    tagged = project.git("rev-parse", "HEAD")
    project.git("branch", "both")
    assert pin(project.path, store, revision="both").commit == tagged
    project.git("checkout", "--quiet", "refs/heads/both")
    project.git("update-ref", "refs/heads/both", project.commit(notes="x"))
    with pytest.raises(ProcessingFailed, match="refs/tags/both"):
        pin(project.path, store, revision="both")
    assert pin(project.path, store, revision="refs/tags/both").commit == tagged


def test_a_repository_without_a_commit_is_said_to_have_none(tmp_path: Path, store: Path) -> None:
    empty = Repository(tmp_path / "empty")
    with pytest.raises(ProcessingFailed, match="no commit"):
        pin(empty.path, store)


def test_the_functions_that_exist_are_named_when_the_entry_point_does_not(
    project: Repository, store: Path
) -> None:
    assert pin(project.path, store, entry="other").entry == "other"
    with pytest.raises(ProcessingFailed, match="`kopernikus`") as raised:
        pin(project.path, store, entry="kopernikus")
    assert "main, other" in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        "from elsewhere import main\n",
        "from elsewhere import *\n",
        "main = print\n",
        "try:\n    import x\nexcept ImportError:\n    def main(df): ...\n",
        "class main: ...\n",
    ],
)
def test_an_entry_point_may_be_made_in_other_ways(
    project: Repository, store: Path, text: str
) -> None:
    project.commit(workflow_DOT_py=text)
    assert pin(project.path, store).entry == "main"


def test_no_workflow_or_a_broken_one_is_said_so(project: Repository, store: Path) -> None:
    project.commit(workflow_DOT_py="def main(df:\n")
    with pytest.raises(ProcessingFailed, match=r"not valid Python.*line 1"):
        pin(project.path, store)
    (project.path / "workflow.py").unlink()
    project.commit()
    with pytest.raises(ProcessingFailed, match=r"has no workflow\.py"):
        pin(project.path, store)


def test_nothing_of_the_repository_is_run_or_imported(
    project: Repository, store: Path, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    project.commit(workflow_DOT_py=f"open({str(touched)!r}, 'w')\n" + WORKFLOW)
    pin(project.path, store)
    assert not touched.exists()


def test_submodules_are_part_of_the_checkout(
    project: Repository, store: Path, tmp_path: Path
) -> None:
    inner = Repository(tmp_path / "inner")
    wanted = inner.commit(data="inner\n")
    project.git("submodule", "--quiet", "add", "../inner", "lib/inner")
    project.git("config", "-f", ".gitmodules", "submodule.lib/inner.url", "../inner")
    project.commit()
    inner.commit(data="later\n")
    pinned = pin(project.path.as_uri(), store)
    assert (pinned.checkout / "lib" / "inner" / "data").read_text() == "inner\n"
    assert project.git("ls-tree", "HEAD", "lib/inner").split()[2] == wanted


def test_files_of_git_lfs_are_warned_about(project: Repository, store: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    project.commit(big_DOT_csv=pointer)
    assert "big.csv" in pin(project.path, store).warnings[0]


@pytest.mark.parametrize(
    ("url", "parent", "resolved"),
    [
        ("../b.git", "https://h.org/org/a.git", "https://h.org/org/b.git"),
        ("../../o2/b", "git@h.org:org/a.git", "git@h.org:o2/b"),
        ("./b", "/srv/a", "/srv/a/b"),
        ("https://h.org/b", "/srv/a", "https://h.org/b"),
    ],
)
def test_relative_submodules_stand_beside_their_parent(
    url: str, parent: str, resolved: str
) -> None:
    assert repository._relative(url, parent) == resolved


class _Guarded(SimpleHTTPRequestHandler):
    """A web server that asks for a name and a password."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(b"jane:s3cr3t@x").decode()
        if self.headers.get("Authorization") == wanted:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def guarded(project: Repository, tmp_path: Path) -> Iterator[str]:
    """A repository behind a password; give its host, port and path."""
    bare = tmp_path / "www" / "toy-workflow.git"
    output_of(["git", "clone", "--quiet", "--bare", str(project.path), str(bare)])
    output_of(["git", "-C", str(bare), "update-server-info"])
    handler = partial(_Guarded, directory=str(tmp_path / "www"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}/toy-workflow.git"
    server.shutdown()
    server.server_close()


def test_credentials_in_a_url_are_used_and_stored_nowhere(guarded: str, store: Path) -> None:
    pinned = pin(f"http://jane:s3cr3t%40x@{guarded}", store)
    assert pinned.repository == f"http://{guarded}"
    assert "s3cr3t" not in str(pinned.as_config())
    files = [path for path in store.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if b"s3cr3t" in path.read_bytes()] == []


def test_wrong_credentials_fail_at_once_and_are_not_shown(guarded: str, store: Path) -> None:
    with pytest.raises(JobRunnerError, match="cannot be read") as raised:
        pin(f"http://jane:wr0ng@{guarded}", store)
    assert "wr0ng" not in raised.value.message
    assert "jane" not in raised.value.message
