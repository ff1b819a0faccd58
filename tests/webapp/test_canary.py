"""Secrets of the service are nowhere to be read: not in an answer, log, mail, file or backup."""

from __future__ import annotations

import base64
import gzip
import io
import re
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.webapp.receivers import free_port
from tests.webapp.running import Running, until
from webapp.api import create_app

DSN, MAIL, HOOK = "canary-of-the-platform", "canary-of-the-mail", "canary-of-the-webhook"
CANARIES = (DSN, MAIL, HOOK)
_SECONDS = 60


@dataclass
class Outside:
    """A mail server and a receiver that say what they know, at first with a refusal."""

    mails: list[bytes] = field(default_factory=list)
    hooks: list[bytes] = field(default_factory=list)
    refusals: int = 0
    mail_port: int = 0
    hook_port: int = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, how: Any, data: Any) -> Any:
        password = data.password.decode()
        if self.refusals < 2:
            self.refusals += 1
            return AuthResult(success=False, handled=False, message=f"535 not {password}, later")
        return AuthResult(success=password == MAIL)


@pytest.fixture
def outside() -> Iterator[Outside]:
    known = Outside()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.hooks.append(body)
            self.send_response(500 if len(known.hooks) < 3 else 200, f"you sent {HOOK}")
            self.end_headers()
            self.wfile.write(f"{self.headers} and I know {HOOK}".encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    controller = Controller(
        known, hostname="127.0.0.1", port=free_port(), authenticator=known.authenticate,
        auth_required=True, auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    known.hook_port = server.server_address[1]
    known.mail_port = controller.port
    yield known
    controller.stop()
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(idle_service: Running, outside: Outside) -> Running:
    """A service that has the secrets, in every way in which one can be given."""
    config = idle_service.home / "config"
    (config / "secrets").mkdir()
    (config / "secrets" / "hook").write_text(HOOK)
    (config / "profiles" / "plain.yaml").write_text(
        "platform: {dsn: 'env:THE_PLATFORM'}\nenvironments: none\n"
    )
    (config / "instances" / "default.yaml").write_text(
        "profile: plain\n"
        "mail: {server: 'env:THE_MAIL_SERVER'}\n"
        f"webhooks: [{{name: se, url: 'http://127.0.0.1:{outside.hook_port}/hook', "
        f"secret: 'file:{config}/secrets/hook', events: ['*']}}]\n"
    )
    server = f"smtp://me:{MAIL}@127.0.0.1:{outside.mail_port}"
    idle_service.up(
        THE_PLATFORM=f"postgresql://me:{DSN}@host/db",
        THE_MAIL_SERVER=server,
        JOBRUNNER_MAIL=server,
        JOBRUNNER_ALERT_TO="ops@example.org",
        JOBRUNNER_LOG_LEVEL="DEBUG",
    )
    return idle_service


def test_no_secret_of_the_service_can_be_read_anywhere(
    service: Running, outside: Outside, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = {"notify": ["jane@example.org"]}
    says = "env; tr '\\0' '\\n' < /proc/self/environ"
    first = service.submit(params={"command": says}, **asked)
    second = service.submit(params={"command": f"{says}; exit 1"}, **asked)
    assert service.until_ended(first, second) == ["succeeded", "failed"]
    long = service.submit(params={"command": f"{says}; sleep 60"})
    service.until_running(long)
    until(lambda: len(outside.mails) == 2, "mails arrive", _SECONDS)
    until(lambda: any(b"job.failed" in hook for hook in outside.hooks), "webhooks", _SECONDS)
    log = service.service.path(service.row(first)) / "logs" / "second.log"
    assert "JOBRUNNER_PLATFORM_DSN=***" in log.read_text(), "the secret was there to be shown"

    seen = dict(_answers(service, [first, second, long]))
    seen |= {f"mail {n}": mail for n, mail in enumerate(outside.mails)}
    seen |= {f"webhook {n}": hook for n, hook in enumerate(outside.hooks)}
    seen["output"] = service.output.read_bytes()
    seen["backup"] = _backup(service, tmp_path / "plain.backup")
    for path in service.home.rglob("*"):
        relative = path.relative_to(service.home).as_posix()
        running = long in relative  # masked on its way out, and in the file when it ends
        if path.is_file() and not running and not relative.startswith(("config/", "releases/")):
            seen[relative] = path.read_bytes()
    assert len(seen) > 60
    assert {name for name, content in seen.items() if _shows(content)} == set()

    whole = _backup(service, tmp_path / "whole.backup", "--with-secrets")
    assert HOOK.encode() in whole, "with secrets it has them: the search above finds what is there"


def _shows(content: bytes) -> bool:
    forms = [c.encode() for c in CANARIES] + [base64.b64encode(c.encode())[:-3] for c in CANARIES]
    return any(form in content for form in forms)


def _answers(service: Running, jobs: list[str]) -> Iterator[tuple[str, bytes]]:
    """Give what every route that reads says to an admin."""
    names = {"type_name": "toy", "path": "logs/second.log", "name": "start.js"}
    for rule in create_app(service.service).url_map.iter_rules():
        if "GET" not in (rule.methods or ()):
            continue
        for job in jobs if "job_id" in rule.arguments else [""]:
            url = re.sub(
                r"<(?:\w+:)?(\w+)>", lambda m, job=job: job or names.get(m[1], "x"), rule.rule
            )  # type: ignore[misc]
            url = url if "path" not in rule.arguments else rule.rule.replace(
                "<job_id>", job).replace("<path:path>", names["path"])  # fmt: skip
            yield f"GET {url}", _content(_get(service, url))
    for job in jobs:
        yield f"log of {job}", _get(service, f"/api/v1/jobs/{job}/log?stage=second")


def _get(service: Running, path: str) -> bytes:
    headers = {"Authorization": f"Bearer {service.token}"}
    request = urllib.request.Request(service.url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        return error.read()


def _content(data: bytes) -> bytes:
    """Unpack what is packed."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            return b"\n".join(packed.read(name) for name in packed.namelist())
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _backup(service: Running, file: Path, *options: str) -> bytes:
    command = [sys.executable, "-m", "runner", "backup", str(file), *options]
    answer = subprocess.run(
        command, env=service.environment(), capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    with tarfile.open(file) as packed:
        found = [packed.extractfile(member) for member in packed.getmembers() if member.isfile()]
        return b"\n".join(stream.read() for stream in found if stream)
