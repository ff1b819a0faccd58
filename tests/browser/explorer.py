"""The example application over a running service, as its README says to start it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.webapp.running import Running, until
from webapp import tokens

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "scenario_explorer"
INSTANCE = """
title: Scenario Explorer
profile: plain
webhooks:
  - {{name: explorer, url: "{url}/webhooks", secret: "file:{secret}"}}
"""


@dataclass
class Explorer:
    """The application, where it answers, and what it must not tell any browser."""

    url: str
    token: str
    output: Path


@contextmanager
def explorer(running: Running) -> Iterator[Explorer]:
    """Start it for the type `toy`, and have the service send it webhooks."""
    with running.service.db.write() as session:
        token = tokens.create(
            session, name="explorer", role="submitter", instance="explorer", acting=True
        )
    secret, key, output = (running.home / f"explorer.{name}" for name in ("secret", "token", "out"))
    secret.write_text("whsec_" + base64.b64encode(os.urandom(32)).decode() + "\n")
    key.write_text(token + "\n")
    given = {"runner": running.url, "token-file": key, "secret-file": secret, "type": "toy"}
    options = [f"--{name}={value}" for name, value in {**given, "port": 0}.items()]
    with output.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), *options], stdout=stream, stderr=subprocess.STDOUT
        )
    try:

        def address() -> str:
            assert process.poll() is None, output.read_text()
            return output.read_text().partition("is up: ")[2].split("\n")[0]

        url = until(address, "the explorer is up")
        instance = running.home / "config" / "instances" / "explorer.yaml"
        instance.write_text(INSTANCE.format(url=url, secret=secret))
        yield Explorer(url, token, output)
    finally:
        process.terminate()
        process.wait()
