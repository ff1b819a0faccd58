"""Whole jobs of type import_meta: by the command line, by a bare Snakemake, on a full disk."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import meta_report
import pytest

from runner.environments import standin_folder
from tests.conftest import ENVIRONMENTS, ROOT
from tests.postgresql import PASSWORD
from tests.workflow.meta_case import HAD, SCRIPTS, MetaJob
from tests.workflow.submitting import xlsx

PROFILE = "platform: {dsn: 'env:THE_DSN'}\nenvironments: uv\n"
SHEET = [["Model", "Scenario", "Category", "new"], ["A", "one", "C7", 2.5], ["B", "one", None, 1]]


def _runner(job: MetaJob, *arguments: str) -> dict[str, Any]:
    home = job.folder / "home"
    profiles = home / "config" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    (profiles / "test.yaml").write_text(PROFILE)
    done = subprocess.run(
        [sys.executable, "-m", "runner", *arguments, "--json", "--home", str(home)],
        capture_output=True, text=True, env={**os.environ, "THE_DSN": job.dsn},
    )  # fmt: skip
    assert PASSWORD not in done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_a_job_that_was_stopped_at_the_diff_is_looked_at_and_continued(
    postgres_job: MetaJob, tmp_path: Path
) -> None:
    file = xlsx(tmp_path / "x.xlsx", {"meta": SHEET})
    before = postgres_job.platform
    options = ["--input", f"workbook={file}", "--profile", "test", "--until", "check"]
    document = _runner(postgres_job, "run", "import_meta", *options)
    assert document["error"] is None
    directory = Path(document["directory"])
    diff = json.loads((directory / "results" / "diff.json").read_text())
    assert diff["counts"] == {"added": 2, "changed": 1, "removed": 0, "unchanged": 0}
    assert postgres_job.platform == before
    document = _runner(postgres_job, "rerun", str(directory))
    assert document["error"] is None
    assert postgres_job.platform["A / one / 1"] == {**HAD, "Category": "C7", "new": 2.5}
    summary = json.loads((directory / "results" / "summary.json").read_text())
    assert summary["headline"] == {
        "Scenarios": "2 of 2 changed", "Meta indicators": "2 added, 1 changed",
    }  # fmt: skip
    assert (directory / summary["report"]).is_file()


def test_a_bare_snakemake_does_the_same_with_an_embedded_platform(
    seeded_sqlite: Path, sqlite_job: MetaJob, tmp_path: Path
) -> None:
    directory, platform = tmp_path / "bare", tmp_path / "mine.db"
    shutil.copy(seeded_sqlite, platform)
    (directory / "input").mkdir(parents=True)
    xlsx(directory / "input" / "x.xlsx", {"only": SHEET})
    (directory / "job.yaml").write_text(
        "id: trial-1\ntype: import_meta\ninputs: {workbook: {path: input/x.xlsx}}\n"
        f"params: {{mode: replace}}\nplatform: {{embedded: {platform}}}\n"
    )
    command = ["snakemake", "-s", str(ROOT / "workflow" / "import_meta" / "Snakefile")]
    command += ["--directory", str(directory), "--configfile", str(directory / "job.yaml")]
    path = [str(standin_folder(ENVIRONMENTS)), str(Path(sys.executable).parent), os.environ["PATH"]]
    clean = {"PATH": os.pathsep.join(path), "HOME": os.environ["HOME"]}
    answer = subprocess.run(
        [*command, "--sdm", "conda", "--cores", "1"], capture_output=True, text=True,
        env={**clean, "JOBRUNNER_ENVS": str(ENVIRONMENTS)},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    sqlite_job.dsn = f"sqlite:///{platform}"
    found = sqlite_job.platform
    assert (found["A / one / 1"], found["B / one / 1"]) == (
        {"Category": "C7", "new": 2.5},
        {"new": 1},
    )


def test_a_full_disk_is_one_clear_error_and_the_job_goes_on_when_there_is_room(
    sqlite_job: MetaJob, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        before = sqlite_job.platform
        moved = shutil.move(sqlite_job.dsn.removeprefix("sqlite:///"), small / "platform.db")
        sqlite_job.dsn = f"sqlite:///{moved}"
        text = {f"k{i}": "x" * 1000 for i in range(300)}
        sqlite_job.records({"model": "A", "scenario": "one", **text})
        assert sqlite_job.check().returncode == 0
        ballast = small / "ballast"
        free = os.statvfs(small)
        ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 30_000))
        assert sqlite_job.store().returncode == 1
        assert sqlite_job.error["code"] == "disk_full"
        ballast.unlink()
        assert sqlite_job.platform == before
        subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
        assert sqlite_job.store().returncode == 0
        assert sqlite_job.platform["A / one / 1"] == {**HAD, **text}
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def _report(job: MetaJob) -> tuple[str, dict[str, Any]]:
    (job.folder / "job.yaml").write_text("id: job-1\n")
    html, summary = job.results / "report.html", job.results / "summary.json"
    options = [f"--source={job.work}/source.json", f"--diff={job.work}/diff.json",
               f"--stored={job.results}/stored.json", f"--problems={job.results}/problems.json",
               f"--job={job.folder}/job.yaml", f"--output={html}",
               f"--summary={summary}"]  # fmt: skip
    meta_report.main(meta_report.parse(options))
    return html.read_text(), json.loads(summary.read_text())


def test_the_report_shows_each_change_and_runs_nothing_of_the_file(sqlite_job: MetaJob) -> None:
    sqlite_job.records({"model": "A", "scenario": "one", "n": 1.0, "<script>": "<b>bold</b>"})
    html, summary = _report(sqlite_job.both())
    assert "<script>" not in html
    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold&lt;/b&gt;" in html
    assert "(whole number)" in html, "a change of type only is to be seen"
    assert summary["stored"] == sqlite_job.stored["runs"]
    assert summary["report"] == "results/report.html"


def test_the_report_of_nothing_to_do_says_so(sqlite_job: MetaJob) -> None:
    html, summary = _report(sqlite_job.records({"model": "A", "scenario": "one", "n": 1}).both())
    assert "the platform had all of it already" in html
    assert summary["headline"]["Scenarios"] == "0 of 1 changed"


@pytest.mark.parametrize("stage", ["read", "check", "store", "report"])
def test_each_program_explains_its_options(stage: str) -> None:
    code = f"import sys; sys.argv = ['meta_{stage}.py', '--help']; import meta_{stage} as program;"
    paths = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parents[1] / "common")])
    done = subprocess.run(
        [sys.executable, "-c", f"{code} program.parse()"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert "--error" in done.stdout, done.stderr


def test_the_script_writes_the_committed_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = ROOT / "examples"
    monkeypatch.syspath_prepend(str(examples))
    runpy.run_path(str(examples / "make_meta.py"))["main"](tmp_path)
    sys.modules.pop("scenarios", None)
    name = "meta-indicators.xlsx"
    with zipfile.ZipFile(examples / name) as committed, zipfile.ZipFile(tmp_path / name) as written:
        assert committed.namelist() == written.namelist()
        for member in committed.namelist():
            assert committed.read(member) == written.read(member), member
