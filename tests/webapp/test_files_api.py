"""``/jobs/{id}/files``: results, inputs, logs and the request; nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.webapp.reading import get, run
from tests.webapp.writing import Api
from webapp import jobs


@pytest.fixture
def job(api: Api) -> tuple[str, Path]:
    """A job with results of several kinds, and with what nobody may fetch."""
    job_id = api.job()
    folder = api.service.place(api.row(job_id)).path
    results = folder / "results"
    (results / "report.html").write_text("<script>alert(1)</script>")
    (results / "deep" / "er").mkdir(parents=True)
    (results / "deep" / "er" / "größe 1%.csv").write_text("a,b\n")
    (results / "data.bin").write_bytes(bytes(range(256)) * 4096)
    (results / ".hidden").write_text("secret")
    (results / "link").symlink_to(folder / "job.yaml")
    (results / "out").symlink_to("/etc")
    (results / "ring").symlink_to("ring")
    (folder / "logs" / "job.log").write_text("said\n")
    (folder / "attempts" / "1.json").write_text("{}")
    return job_id, folder


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_results_are_listed_with_their_checksums(api: Api) -> None:
    job_id = api.job()
    run(api, job_id)
    folder, viewer = api.service.path(api.row(job_id)), api.token("viewer")
    found = get(api, f"/jobs/{job_id}/files", viewer).json
    assert found is not None
    (item,) = found["items"]
    third = folder / "results" / "third.txt"
    assert (item["path"], item["sha256"]) == ("results/third.txt", _sha256(third))
    answer = api.client.get(item["url"], headers=viewer)
    assert answer.data == third.read_bytes()
    assert answer.headers["ETag"] == f'"{item["sha256"]}"'
    others = {other["path"]: other for other in found["others"]}
    assert {"job.yaml", "logs/job.log", "input/some_words.txt"} <= set(others)
    for other in others.values():
        assert len(api.client.get(other["url"], headers=viewer).data) == other["bytes"]
    assert api.client.get(found["zip"], headers=viewer).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "results/data.bin",
        "results/deep/er/größe 1%.csv",
        "input/some_words.txt",
        "job.yaml",
    ],
)
def test_a_file_is_given_whole_in_parts_and_not_twice(
    api: Api, job: tuple[str, Path], path: str
) -> None:
    job_id, folder = job
    viewer, content = api.token("viewer"), (folder / path).read_bytes()
    url = f"/jobs/{job_id}/files/{path}".replace("%", "%25")
    whole = get(api, url, viewer)
    assert (whole.status_code, whole.data) == (200, content)
    assert whole.headers["ETag"] == f'"{_sha256(folder / path)}"'
    assert whole.headers["Accept-Ranges"] == "bytes"
    part = get(api, url, viewer, Range="bytes=1-2")
    assert (part.status_code, part.data) == (206, content[1:3])
    assert part.headers["Content-Range"] == f"bytes 1-2/{len(content)}"
    assert get(api, url, viewer, Range="bytes=-1").data == content[-1:]
    beyond = get(api, url, viewer, Range=f"bytes={len(content)}-")
    assert beyond.status_code == 416
    assert beyond.mimetype == "application/problem+json"
    tag = whole.headers["ETag"]
    same = get(api, url, viewer, **{"If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    ranged = {"Range": "bytes=0-0", "If-Range": tag}
    assert get(api, url, viewer, **ranged).status_code == 206
    ranged["If-Range"] = '"other"'
    assert get(api, url, viewer, **ranged).status_code == 200


def test_a_result_that_changes_gets_another_checksum(api: Api, job: tuple[str, Path]) -> None:
    job_id, folder = job
    report = folder / "results" / "report.html"
    api.end(job_id)
    jobs.finished(api.service, job_id)
    url, viewer = f"/jobs/{job_id}/files/results/report.html", api.token("viewer")
    before = get(api, url, viewer).headers["ETag"]
    assert before == f'"{_sha256(report)}"'
    report.write_text(report.read_text().swapcase())
    after = get(api, url, viewer, **{"If-None-Match": before})
    assert after.status_code == 200
    assert after.headers["ETag"] == f'"{_sha256(report)}"'


@pytest.mark.parametrize(
    "path",
    [
        "events.jsonl",
        "attempts/1.json",
        ".snakemake/log",
        "work/first.txt",
        "results",
        "results/",
        "results/deep",
        "results/none",
        "results/.hidden",
        "results/link",
        "results/out/passwd",
        "results/ring",
        "results/../job.yaml",
        "results/../../../../../../service.db",
        "results/%2e%2e/events.jsonl",
        "results/..%2fevents.jsonl",
        "results//report.html",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "./job.yaml",
        "results\\..\\events.jsonl",
        "results/" + 300 * "x",
        "job.yaml/",
    ],
)
def test_nothing_else_and_nothing_outside_is_given(
    api: Api, job: tuple[str, Path], path: str
) -> None:
    answer = get(api, f"/jobs/{job[0]}/files/{path}", api.token("admin"))
    assert answer.status_code in (404, 308), answer.text
    assert b"secret" not in answer.data


def test_a_report_cannot_use_the_origin_of_the_api(api: Api, job: tuple[str, Path]) -> None:
    viewer = api.token("viewer")
    answer = get(api, f"/jobs/{job[0]}/files/results/report.html", viewer)
    assert answer.mimetype == "text/html"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"].startswith("inline; ")


def test_files_are_saved_under_their_names(api: Api, job: tuple[str, Path]) -> None:
    viewer, base = api.token("viewer"), f"/jobs/{job[0]}/files"
    csv = get(api, f"{base}/results/deep/er/größe 1%25.csv", viewer)
    assert csv.headers["Content-Disposition"] == (
        "attachment; filename=\"groe 1%.csv\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%201%25.csv"
    )
    report = get(api, f"{base}/results/report.html?download=true", viewer)
    assert report.headers["Content-Disposition"].startswith("attachment; ")


def test_a_zip_has_all_that_can_be_fetched_and_nothing_else(
    api: Api, job: tuple[str, Path]
) -> None:
    job_id, folder = job
    answer = get(api, f"/jobs/{job_id}/files.zip", api.token("viewer"))
    assert answer.mimetype == "application/zip"
    packed = zipfile.ZipFile(io.BytesIO(answer.data))
    names = ["job.yaml", "input/some_words.txt", "results/data.bin", "logs/job.log"]
    names += ["results/deep/er/größe 1%.csv", "results/report.html"]
    assert sorted(packed.namelist()) == sorted(f"{job_id}/{name}" for name in names)
    for name in names:
        assert packed.read(f"{job_id}/{name}") == (folder / name).read_bytes()
    assert packed.testzip() is None


def test_a_log_that_grows_while_it_is_sent_is_given_as_it_was(
    api: Api, job: tuple[str, Path]
) -> None:
    job_id, folder = job
    log = folder / "logs" / "job.log"
    log.write_bytes(b"x" * 600_000)
    answer = get(api, f"/jobs/{job_id}/files/logs/job.log", api.token("viewer"))
    pieces = answer.iter_encoded()
    first = next(pieces)
    with log.open("ab") as stream:
        stream.write(b"y" * 1000)
    assert first + b"".join(pieces) == b"x" * 600_000
    assert answer.headers["Content-Length"] == "600000"


def test_a_file_that_shrinks_while_it_is_sent_is_visibly_cut_off(
    api: Api, job: tuple[str, Path]
) -> None:
    job_id, folder = job
    log = folder / "logs" / "job.log"
    log.write_bytes(b"x" * 600_000)
    pieces = get(api, f"/jobs/{job_id}/files/logs/job.log", api.token("viewer")).iter_encoded()
    next(pieces)
    os.truncate(log, 300_000)
    with pytest.raises(OSError, match="has lost"):
        list(pieces)


_LARGE = """
import resource, sys
from webapp.api import create_app
from webapp.service import Service
from webapp.settings import Settings

service = Service.open(Settings())
client = create_app(service).test_client()
headers = {"Authorization": f"Bearer {sys.argv[2]}"}

def fetch(path):
    size = 0
    for piece in client.get(f"/api/v1/jobs/{sys.argv[1]}/{path}", headers=headers).iter_encoded():
        size += len(piece)
    return size

fetch("files/job.yaml")
fetch("files.zip")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in ("files/results/large.bin", "log?stage=second", "files.zip"):
    print(path, fetch(path))
print("grown by", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_large_files_and_zips_are_sent_in_constant_memory(api: Api, job: tuple[str, Path]) -> None:
    job_id, folder = job
    for name in ("results/large.bin", "logs/second.log"):
        with (folder / name).open("wb") as stream:
            stream.truncate(300_000_000)  # no disk is used: a hole
    settings = api.service.settings
    variables = {
        **os.environ,
        "JOBRUNNER_HOME": str(settings.home),
        "JOBRUNNER_DATABASE_URL": settings.database_url,
    }
    token = api.token("viewer")["Authorization"].removeprefix("Bearer ")
    # the zip is fetched once before, so that what grows is not what imports take
    done = subprocess.run(
        [sys.executable, "-c", _LARGE, job_id, token],
        env=variables,
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "files/results/large.bin 300000000"
    assert lines[1] == "log?stage=second 300000000"
    assert int(lines[-1].split()[-1]) < 50_000, done.stdout  # kilobytes
