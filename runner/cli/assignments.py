"""What options of the form ``name=value`` say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.errors import InvalidRequest


def pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """Split ``name=value`` options.

    Raises
    ------
    InvalidRequest
        If one has no ``=``, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise InvalidRequest(f"{option} {text}: write {option} NAME=VALUE.")
        if name in found:
            raise InvalidRequest(f"{option} {name} is given twice.")
        found[name] = value
    return found


def resources(given: tuple[str, ...]) -> dict[str, Any]:
    """Turn ``--resource mem_mb=8000 --resource solve:mem_mb=32000`` into what a job.yaml has.

    Raises
    ------
    InvalidRequest
        If one has no ``=``, or a name comes twice, or names stages without saying which.
    """
    asked: dict[str, Any] = {}
    for name, text in pairs(given, "--resource").items():
        stage, _, resource = name.rpartition(":")
        if resource == "stages":
            raise InvalidRequest(f"--resource {name}={text}: write --resource STAGE:NAME=VALUE.")
        place = asked.setdefault("stages", {}).setdefault(stage, {}) if stage else asked
        place[resource] = _typed(text, None)
    return asked


def typed(schema: Mapping[str, Any], params: Mapping[str, str]) -> dict[str, Any]:
    """Turn texts into the types that a schema wants; what does not fit stays a text."""
    return {
        name: _typed(text, schema.get("properties", {}).get(name, {}).get("type"))
        for name, text in params.items()
    }


def _typed(text: str, wanted: Any) -> Any:
    if wanted == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
