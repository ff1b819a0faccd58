"""Real files through the API: the same results and the same errors as on the command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import requests

from tests.webapp.running import Running

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = (
    "ariadne_template_2025-08-11.xlsx",
    "ca_infilled.csv",
    "oe_GENeSYS-MOD-pathways_v1.0.xlsx",
    "pyam_exclude_meta_sheet.xlsx",
    "pyam_na_column.xlsx",
    "pyam_subannual_time.csv",
    "pyam_test_df.xlsx",
    "pyam_tutorial_data.csv",
)


def _submit(running: Running, workbook: Path, instance: str) -> str:
    request = json.dumps({"type": "import_timeseries", "instance": instance})
    with workbook.open("rb") as stream:
        answer = requests.post(
            f"{running.url}/api/v1/jobs",
            headers={"Authorization": f"Bearer {running.token}"},
            files={
                "request": (None, request, "application/json"),
                "workbook": (workbook.name, stream),
            },
            timeout=120,
        )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _through_api(running: Running, job_id: str) -> dict[str, Any]:
    url = f"{running.url}/api/v1/jobs/{job_id}"
    headers = {"Authorization": f"Bearer {running.token}"}
    job = requests.get(url, headers=headers, timeout=60).json()
    listed = requests.get(f"{url}/files", headers=headers, timeout=60).json()["items"]
    names = [item["path"] for item in listed]
    files = {
        name: requests.get(f"{url}/files/{name}", headers=headers, timeout=60).content
        for name in names
        if not name.endswith(".html")
    }
    return {"status": job["status"], "error": job["error"], "names": names, "files": files}


def _on_command_line(home: Path, workbook: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "runner", "run", "import_timeseries", "--json"]
    command += ["--home", str(home), "--input", f"workbook={workbook}", *options]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode in (0, 1), answer.stderr
    document = json.loads(answer.stdout)
    directory = Path(document["directory"])
    paths = sorted(path for path in (directory / "results").rglob("*") if path.is_file())
    names = [path.relative_to(directory).as_posix() for path in paths]
    files = {
        name: path.read_bytes()
        for name, path in zip(names, paths, strict=True)
        if not name.endswith(".html")
    }
    found = {"status": document["status"], "error": document["error"]}
    return {**found, "names": names, "files": files}


def _comparable(found: dict[str, Any]) -> dict[str, Any]:
    """Give what must be the same: all but ids and times, which no two jobs share."""
    files = {name: _content(name, text) for name, text in found["files"].items()}
    return {**found, "files": files}


def _content(name: str, text: bytes) -> Any:
    if name.endswith(".json"):
        return _without(json.loads(text))
    if name.endswith(".parquet"):
        table = pl.read_parquet(text)
        return table.sort(table.columns).rows()
    return list(csv.reader(text.decode("utf-8-sig").splitlines()))


def _without(document: Any) -> Any:
    if isinstance(document, dict):
        passing = {"job", "id", "at", "seconds", "started", "finished", "submitted", "platform"}
        return {key: _without(value) for key, value in document.items() if key not in passing}
    if isinstance(document, list):
        return [_without(item) for item in document]
    return document


@pytest.mark.xdist_group("acceptance")
def test_every_real_file_gives_through_the_api_what_it_gives_on_the_command_line(
    idle_service: Running, shared_data: Path, tmp_path: Path
) -> None:
    (idle_service.home / "config" / "instances" / "imports.yaml").write_text("profile: local\n")
    idle_service.up(slots=1)
    ids = {name: _submit(idle_service, shared_data / name, "imports") for name in FILES}
    idle_service.until_ended(*ids.values(), seconds=240)
    home = tmp_path / "command line"
    for name, job_id in ids.items():
        through_api = _comparable(_through_api(idle_service, job_id))
        assert through_api == _comparable(_on_command_line(home, shared_data / name)), name
        assert through_api["status"] in ("succeeded", "failed")


@pytest.mark.xdist_group("acceptance")
@pytest.mark.parametrize("workbook", ["example-workbook.xlsx", "workbook-with-mistakes.xlsx"])
def test_an_instance_with_a_processing_repository_imports_as_the_command_line_does(
    idle_service: Running, workbook: str, tmp_path: Path
) -> None:
    text = (EXAMPLES / "instance.yaml").read_text().replace("EXAMPLES", str(EXAMPLES))
    (idle_service.home / "config" / "instances" / "example.yaml").write_text(text)
    idle_service.up(slots=1)
    job_id = _submit(idle_service, EXAMPLES / workbook, "example")
    idle_service.until_ended(job_id, seconds=240)
    options = ("--processing", str(EXAMPLES / "project-workflow"))
    expected = _on_command_line(tmp_path / "command line", EXAMPLES / workbook, *options)
    assert _comparable(_through_api(idle_service, job_id)) == _comparable(expected)
