"""One instance, as its file says.

Where such files lie, `webapp.instances` knows; config/README.md explains each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from runner.errors import InvalidConfiguration, InvalidRequest
from runner.files import safe_label
from runner.launch import ProcessingRequest


@dataclass(frozen=True)
class TypeRule:
    """What an instance says of one job type; None: nothing of its own."""

    versions: tuple[str, ...] | None = None
    running: int | None = None
    profile: str | None = None
    processing: ProcessingRequest | None = None

    def allows(self, label: str) -> bool:
        """Tell whether the version `label` may be used."""
        if self.versions is None:
            return True
        return any(fnmatchcase(label, pattern) for pattern in self.versions)


@dataclass(frozen=True)
class Instance:
    """A tenant.

    Attributes
    ----------
    profile : str
        The profile of its jobs, where their type names none.
    types : mapping of str to TypeRule, or None
        The job types that it may use; None: all.
    running : int or None
        How many of its jobs may run at once; None: no limit.
    max_priority : int
        The highest priority that a submitter may ask for.
    """

    name: str
    title: str
    profile: str = "local"
    types: Mapping[str, TypeRule] | None = None
    running: int | None = None
    max_priority: int = 100

    def rule(self, type_name: str) -> TypeRule:
        """Give what holds for a job type.

        Raises
        ------
        InvalidRequest
            If the instance may not use it.
        """
        if self.types is None:
            return TypeRule()
        if type_name not in self.types:
            known = ", ".join(sorted(self.types)) or "none"
            message = f"{self.name} may not use {type_name!r}. It may use: {known}."
            raise InvalidRequest(message, [{"pointer": "/type", "message": message}])
        return self.types[type_name]


def read(path: Path) -> Instance:
    """Read the file of one instance.

    Raises
    ------
    InvalidConfiguration
        Naming the file and the place in it.
    UnsafePath
        If the file's name cannot be the name of an instance.
    """
    safe_label(path.stem, "Instance")
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error}") from error
    text = {} if text is None else text
    errors = sorted(_validator().iter_errors(text), key=lambda e: list(map(str, e.absolute_path)))
    if errors:
        lines = [f"  {_pointer(error) or '/'}: {error.message}" for error in errors]
        raise InvalidConfiguration("\n".join([f"{path} is wrong:", *lines]))
    types = text.get("types")
    return Instance(
        name=path.stem,
        title=text.get("title", path.stem),
        profile=text.get("profile", "local"),
        types=None if types is None else {name: _rule(spec or {}) for name, spec in types.items()},
        running=text.get("running"),
        max_priority=text.get("max_priority", 100),
    )


@cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = yaml.safe_load(Path(__file__).with_name("instance.schema.yaml").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _pointer(error: jsonschema.ValidationError) -> str:
    return "".join(f"/{part}" for part in error.absolute_path)


def _rule(spec: Mapping[str, Any]) -> TypeRule:
    processing = spec.get("processing")
    return TypeRule(
        versions=tuple(spec["versions"]) if "versions" in spec else None,
        running=spec.get("running"),
        profile=spec.get("profile"),
        processing=ProcessingRequest(
            processing["repository"],
            processing.get("revision"),
            processing.get("entry", "main"),
        )
        if processing
        else None,
    )
