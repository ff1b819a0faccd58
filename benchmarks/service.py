"""A real `jobrunner up`, and the plain ``snakemake`` command on the same trivial job."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runner import launch  # noqa: E402
from runner.home import Home  # noqa: E402
from runner.launch import Prepared  # noqa: E402

TRIVIAL = ROOT / "tests" / "data" / "trivial"
PROFILE = "platform: {embedded: none.db}\nenvironments: none\n"
INSTANCE = "title: Benchmark\nprofile: plain\n"
ENDED = ("succeeded", "failed", "cancelled")


def make_home(path: Path) -> Home:
    """Make a home with the type *trivial*: one rule that needs nothing but a shell."""
    for name, text in (("profiles/plain", PROFILE), ("instances/default", INSTANCE)):
        file = path / "config" / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    home = Home(path)
    home.releases.publish(str(TRIVIAL), "1")
    return home


@dataclass(frozen=True)
class Client:
    """What a web application is to the service.

    Attributes
    ----------
    url : str
        Address of the service.
    """

    url: str
    token: str

    def submit(self) -> str:
        """Submit a trivial job and give its id."""
        body = json.dumps({"type": "trivial", "instance": "default"}).encode()
        with self._answer("POST", "/jobs", body) as answer:
            return str(json.load(answer)["id"])

    def wait(self, job_id: str) -> None:
        """Follow a job's events, as they are pushed, until it has succeeded."""
        with self._answer("GET", f"/jobs/{job_id}/events", stream=True) as answer:
            for line in answer:
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line[5:])
                if event.get("kind") == "status" and event["status"] in ENDED:
                    assert event["status"] == "succeeded", event
                    return
        raise RuntimeError(f"the events of {job_id} ended before it did")

    @contextmanager
    def _answer(
        self, method: str, path: str, body: bytes | None = None, *, stream: bool = False
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=120)
        headers = {"Authorization": f"Bearer {self.token}"}
        headers |= {"Content-Type": "application/json"} if body else {}
        headers |= {"Accept": "text/event-stream"} if stream else {}
        try:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {answer.read().decode()}")
            yield answer
        finally:
            connection.close()


@contextmanager
def up(home: Home, slots: int) -> Iterator[Client]:
    """Run the whole service over a home; it ends by its process id."""
    token, output = home.path / "token", home.path / "output.txt"
    command = [sys.executable, "-m", "runner", "up", "--home", str(home.path), "--port", "0"]
    command += ["--slots", str(slots), "--token-file", str(token)]
    with output.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        while "Ctrl-C ends it" not in (text := output.read_text()):
            if process.poll() is not None:
                raise RuntimeError(text)
            time.sleep(0.05)
        yield Client(text.partition("is up: ")[2].split()[0], token.read_text().strip())
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def plain_job(home: Home) -> Prepared:
    """Make an equal job that nobody runs yet."""
    return launch.create(home, "trivial", inputs={}, params={}, version="1", profile_name="plain")


def plain_command(prepared: Prepared) -> list[str]:
    """Give the command that a person types for it."""
    command = [sys.executable, "-m", "snakemake", "-s", str(prepared.job_type.snakefile)]
    command += ["--directory", str(prepared.job.path)]
    return [*command, "--configfile", str(prepared.job.path / "job.yaml"), "--cores", "1"]


def rule_ran(directory: Path) -> float:
    """Give the time at which the job's only rule wrote its output."""
    return (directory / "results" / "only.txt").stat().st_mtime


def quiet(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command whose words nobody reads."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
