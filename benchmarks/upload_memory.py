"""Peak memory of the web process while 1 GB is uploaded, against an upload of 1 MB.

The web server is the one of `jobrunner web` (gunicorn, one process); the client is this process,
which makes the file as it sends it. Each round has a server of its own, and the small upload
comes first: what the process needs for any upload is in both figures.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from runner.home import Home
from webapp import migrate, tokens
from webapp.service import Service
from webapp.settings import Settings

TOY = Path(__file__).resolve().parents[1] / "tests" / "data" / "toy"
SMALL, LARGE = 1_000_000, 1_000_000_000
BLOCK = os.urandom(1_000_000)
HEAD = (
    b'--edge\r\nContent-Disposition: form-data; name="request"\r\n\r\n{"type": "toy"}\r\n'
    b'--edge\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n\r\n'
)
END = b"\r\n--edge--\r\n"


@contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, http.client.HTTPConnection, str]]:
    """Serve a new home; give the web process, a connection to it, and a token."""
    service = Service.open(_settings(folder))
    migrate.upgrade(service.db)
    service.home.releases.publish(str(_big_toy(folder)), "1")
    with service.db.write() as session:
        token = tokens.create(session, name="bench", role="submitter")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        command = [sys.executable, "-m", "webapp.cli.web", "--fd", str(number)]
        environment = {**os.environ, "JOBRUNNER_LOG_LEVEL": "ERROR"}
        for name in ("home", "database_url", "redis_url", "disk_reserve"):
            environment[f"JOBRUNNER_{name.upper()}"] = str(getattr(service.settings, name))
        process = subprocess.Popen(command, pass_fds=[number], env=environment)
        try:
            connection = http.client.HTTPConnection(*listening.getsockname(), timeout=600)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            (worker,) = psutil.Process(process.pid).children()
            yield worker, connection, token
        finally:
            process.terminate()
            process.wait()


def _settings(folder: Path) -> Settings:
    return Settings(
        home=Home(folder / "home").path,
        database_url=f"sqlite:///{folder / 'service.db'}",
        redis_url=f"unix://{folder / 'none.sock'}",
        disk_reserve=0,
    )


def _big_toy(folder: Path) -> Path:
    """Give the toy job type with an input that may be as large as it likes."""
    shutil.copytree(TOY, folder / "toy")
    path = folder / "toy" / "workflow" / "toy" / "jobtype.yaml"
    path.write_text(path.read_text().replace("1 kB", "5 GB"))
    return folder / "toy"


def upload(connection: http.client.HTTPConnection, token: str, size: int) -> float:
    """Submit a job with a file of so many bytes; give the seconds that it took."""
    start = time.perf_counter()
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(len(HEAD) + size + len(END)),
    }
    body = (HEAD, *([BLOCK] * (size // len(BLOCK))), END)
    connection.request("POST", "/api/v1/jobs", body=iter(body), headers=headers)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 202, said
    return time.perf_counter() - start


def peak(worker: psutil.Process) -> float:
    """Give the largest resident size of a process since the last call, in MB (Linux)."""
    folder = Path("/proc", str(worker.pid))
    lines = (folder / "status").read_text().splitlines()
    (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    (folder / "clear_refs").write_text("5")  # the mark goes back to what there is now
    return kilobytes / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=LARGE, help="Size of the large upload.")
    options = parser.parse_args()
    small, large, seconds = [], [], []
    for number in range(options.rounds):
        with (
            tempfile.TemporaryDirectory() as folder,
            served(Path(folder)) as (worker, connection, token),
        ):
            upload(connection, token, SMALL)  # what is imported late is imported now
            peak(worker)
            upload(connection, token, SMALL)
            small.append(peak(worker))
            seconds.append(upload(connection, token, options.bytes))
            large.append(peak(worker))
        print(f"round {number + 1}: 1 MB {small[-1]:.1f} MB, large {large[-1]:.1f} MB")
    ratio = statistics.median(a / b for a, b in zip(large, small, strict=True))
    print(
        f"{options.bytes / 1e6:,.0f} MB: peak {statistics.median(large):.1f} MB, "
        f"1 MB: {statistics.median(small):.1f} MB, ratio {ratio:.3f}; "
        f"{options.bytes / 1e6 / statistics.median(seconds):,.0f} MB/s"
    )


if __name__ == "__main__":
    main()
