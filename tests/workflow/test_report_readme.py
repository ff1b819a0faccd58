"""The README of each job type names everything that a person may meet."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
COMMON = WORKFLOW / "common"
JOB_TYPES = sorted(path.parent.name for path in WORKFLOW.glob("*/jobtype.yaml"))
MAKERS = ("StageError", "WrongKind", "Problem", "problem", "meta_problem", "_problem")


def programs(job_type: str) -> list[Path]:
    """Give the programs of a job type and the common modules that they import."""
    found: dict[Path, None] = dict.fromkeys(sorted((WORKFLOW / job_type).rglob("*.py")))
    waiting = list(found)
    while waiting:
        for name in _imported(waiting.pop()):
            path = COMMON / Path(*name.split(".")).with_suffix(".py")
            if path.is_file() and path not in found:
                found[path] = None
                waiting.append(path)
    return list(found)


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def codes(job_type: str) -> Iterator[str]:
    """Give every code of an error or a problem that is written out in a program."""
    for path in programs(job_type):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            if name in MAKERS:
                given += node.args[1:2] if name == "_problem" else node.args[:1]
            for value in given:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.value


@pytest.mark.parametrize("job_type", JOB_TYPES)
def test_every_error_code_is_explained(job_type: str) -> None:
    found = set(codes(job_type))
    assert found
    readme = (WORKFLOW / job_type / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", readme))
    assert sorted(found - named) == []


@pytest.mark.parametrize("job_type", JOB_TYPES)
@pytest.mark.parametrize("section", ["stages", "inputs", "results", "params"])
def test_every_part_of_the_job_type_is_explained(job_type: str, section: str) -> None:
    folder = WORKFLOW / job_type
    readme = (folder / "README.md").read_text(encoding="utf-8")
    declared = yaml.safe_load((folder / "jobtype.yaml").read_text(encoding="utf-8"))
    schema = yaml.safe_load((folder / declared["params"]).read_text(encoding="utf-8"))
    inputs = declared.get("inputs") or {}
    names = {
        "stages": list(declared["stages"]),
        "inputs": [suffix for one in inputs.values() for suffix in one.get("suffixes", [])],
        "results": [Path(path).name for path in declared["results"].values()],
        "params": list(schema["properties"]),
    }[section]
    assert [name for name in names if name not in readme] == []
