"""The documentation tells what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
import yaml

from runner.cli.commands import cli
from webapp.instance_file import read as read_instance
from webapp.settings import Settings
from webapp.tokens import ROLES

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for place in ROOT.iterdir()
    if not place.name.startswith(".")  # where other tests install things at the same time
    for page in ([place] if place.suffix == ".md" else place.rglob("*.md"))
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts)
)


def _keys(schema: dict, prefix: str = "", whole: dict | None = None) -> list[str]:  # type: ignore[type-arg]
    found, whole = [], whole or schema
    for name, spec in _properties(schema, whole).items():
        nested = _properties(spec, whole)
        found += _keys(spec, f"{prefix}{name}.", whole) if nested else [f"{prefix}{name}"]
    return found


def _properties(schema: dict, whole: dict) -> dict:  # type: ignore[type-arg]
    parts = [schema, *schema.get("allOf", ())]
    named = [part["$ref"].rpartition("/")[2] for part in parts if "$ref" in part]
    every = [*(whole["$defs"][name] for name in named), schema]
    return {name: spec for part in every for name, spec in part.get("properties", {}).items()}


def test_each_key_of_a_profile_is_documented() -> None:
    schema = yaml.safe_load((ROOT / "runner" / "profile.schema.yaml").read_text())
    of_a_type = schema["properties"]["types"]["additionalProperties"]
    keys = [*_keys(schema), *_keys(of_a_type, "types.NAME.", schema)]
    text = (ROOT / "config" / "README.md").read_text()
    assert [key for key in keys if f"| `{key}` |" not in text] == []


def test_each_key_of_an_instance_is_documented() -> None:
    schema = yaml.safe_load((ROOT / "webapp" / "instance.schema.yaml").read_text())
    of_a_type = schema["properties"]["types"]["additionalProperties"]
    keys = [*_keys(schema), *_keys(of_a_type, "types.NAME.", schema)]
    text = (ROOT / "config" / "README.md").read_text()
    assert [key for key in keys if f"| `{key}` |" not in text] == []


def test_each_key_of_an_issuer_is_documented() -> None:
    schema = yaml.safe_load((ROOT / "webapp" / "issuer.schema.yaml").read_text())
    text = (ROOT / "config" / "README.md").read_text()
    assert [key for key in _keys(schema) if f"| `{key}` |" not in text] == []


def test_the_example_of_an_instance_is_right(tmp_path: Path) -> None:
    text = (ROOT / "config" / "README.md").read_text()
    (example,) = re.findall(r"```yaml\n(title: .*?)```", text, re.DOTALL)
    (tmp_path / "example.yaml").write_text(example)
    assert read_instance(tmp_path / "example.yaml").running == 4


def test_each_role_is_documented() -> None:
    text = (ROOT / "config" / "README.md").read_text()
    assert [role for role in ROLES if f"| `{role}` |" not in text] == []


def test_each_setting_of_the_service_is_documented() -> None:
    text = (ROOT / "config" / "README.md").read_text()
    names = [f"JOBRUNNER_{name.upper()}" for name in Settings.model_fields]
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_each_environment_variable_is_documented() -> None:
    folders = ("runner", "webapp", "workflow")
    sources = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    used = {v for p in sources for v in re.findall(r'"(JOBRUNNER_[A-Z_]+)"', p.read_text())}
    text = (ROOT / "config" / "README.md").read_text()
    # set by the runner for processes that it starts itself
    internal = {"JOBRUNNER_ATTEMPT", "JOBRUNNER_GIT_USERNAME", "JOBRUNNER_GIT_PASSWORD"}
    internal |= {"JOBRUNNER_STAGE", "JOBRUNNER_MODULES_USE", "JOBRUNNER_SITE_BASH_ENV"}
    assert sorted(v for v in used - internal if f"| `{v}` |" not in text) == []


def test_each_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    names = cli.list_commands(click.Context(cli))
    assert "up" in names
    shown = " ".join(line for line in text.splitlines() if "jobrunner " in line)
    assert [name for name in names if not re.search(rf"\b{name}\b", shown)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_link_between_pages_is_broken(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
