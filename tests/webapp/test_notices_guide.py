"""docs/notices.md is right: its example takes what the service sends, and nothing else."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from webapp.instance_file import read as read_instance
from webapp.notify import rules, webhook

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "notices.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.+?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("secret", ["whsec_c2VjcmV0", "any other text"])
def test_the_example_takes_what_the_service_has_signed_and_nothing_else(secret: str) -> None:
    scope: dict[str, Any] = {}
    exec(_block("python"), scope)
    body, now = b'{"id": "x-1-a"}', int(time.time())
    headers = webhook.signed(webhook.key_of(secret), "x-1-a", now, body)
    assert scope["verified"](headers, body, secret) == {"id": "x-1-a"}
    old = webhook.signed(webhook.key_of(secret), "x-1-a", now - 400, body)
    forged = webhook.signed(b"guessed", "x-1-a", now, body)
    for wrong, content in ((old, body), (forged, body), (headers, b"{}")):
        with pytest.raises(ValueError, match=r"wrong|too old"):
            scope["verified"](wrong, content, secret)


def test_the_example_of_webhooks_is_right(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(_block("yaml"))
    (hook,) = read_instance(tmp_path / "example.yaml").webhooks
    assert (hook.name, hook.events) == ("explorer", ("job.*", "stage.failed"))


def test_the_events_of_the_guide_are_those_that_there_are() -> None:
    named = set(re.findall(r"`((?:job|stage)\.[a-z]+)`", GUIDE))
    statuses = ("queued", "running", "stopping", "succeeded", "failed", "cancelled")
    events = [{"kind": "status", "status": status} for status in statuses]
    events += [{"kind": "stage", "status": s} for s in ("running", "succeeded", "failed")]
    events += [{"kind": kind} for kind in ("progress", "note", "attempt", "log")]
    assert named == {rules.name_of(event) for event in events} - {None}


def test_the_example_of_an_event_has_the_fields_of_one() -> None:
    example = json.loads(_block("json"))
    assert set(example) == {
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data",
    }  # fmt: skip
    assert yaml.safe_load(_block("yaml"))["webhooks"][0]["name"] in example["id"]
