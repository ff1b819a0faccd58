"""A kind of job, read from its ``jobtype.yaml``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from runner.errors import InvalidConfiguration, InvalidInput, InvalidRequest
from runner.files import read_yaml
from runner.retention import Retention

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SUB_JOB = re.compile(r"[a-z][a-z0-9]{0,29}")  # `<sub-job>_<stage>` has one place to split


@dataclass(frozen=True)
class InputSpec:
    """What a job type accepts as one of its input files; `max_size` in bytes."""

    name: str
    title: str
    description: str
    suffixes: tuple[str, ...]
    max_size: int | None
    required: bool

    def suffix_of(self, filename: str) -> str:
        """Give the accepted suffix that `filename` ends with.

        Raises
        ------
        InvalidInput
            If it has none of them.
        """
        for suffix in sorted(self.suffixes, key=len, reverse=True):
            if filename.lower().endswith(suffix):
                return suffix
        accepted = ", ".join(self.suffixes)
        raise InvalidInput(f"{self.name}: {filename!r} is none of the accepted kinds ({accepted}).")


@dataclass(frozen=True)
class Stage:
    """A Snakemake rule that people are shown."""

    name: str
    title: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    sub_job: str | None = None


@dataclass(frozen=True)
class SubJobType:
    """A part of a composite job type: a job type that it uses as a Snakemake module.

    Attributes
    ----------
    name : str
        Its rules are called ``<name>_<rule>``, and it lives in ``sub_jobs/<name>/``.
    params : mapping
        Parameters that the composite type sets itself; they cannot be asked for.
    """

    name: str
    title: str
    type: JobType
    params: Mapping[str, Any]

    def rule(self, stage: str) -> str:
        """Give the name that the rule `stage` of its type has in the composite one."""
        return f"{self.name}_{stage}"

    def stages(self) -> Iterator[Stage]:
        """Give its stages as stages of the composite job type."""
        for stage in self.type.stages:
            title = f"{self.title}: {stage.title}"
            yield replace(stage, name=self.rule(stage.name), title=title, sub_job=self.name)

    def schema(self) -> dict[str, Any]:
        """Give the JSON Schema of those of its parameters that can be asked for."""
        schema = {k: v for k, v in self.type.schema.items() if k not in ("$schema", "title")}
        offered = schema.get("properties", {})
        kept = {name: spec for name, spec in offered.items() if name not in self.params}
        shared = {"$id": f"urn:jobrunner:{self.type.name}"}  # its `#/$defs/…` are its own
        return {**shared, "title": self.title, "default": {}, **schema, "properties": kept}


@dataclass(frozen=True)
class JobType:
    """What ``jobtype.yaml`` declares; see DESIGN, *Formats*.

    Attributes
    ----------
    folder : Path
        Where the job type lives: its ``Snakefile`` stands there.
    schema : dict
        JSON Schema of the parameters.
    resources : dict
        Defaults: ``cores``, ``mem_mb`` (MB), ``runtime`` (minutes).
    processing : {"no", "optional", "required"}
        Whether a job names a processing repository.
    sub_jobs : mapping
        The parts of a composite job type by name; their stages are stages of it, too.
    """

    name: str
    folder: Path
    title: str
    description: str
    inputs: Mapping[str, InputSpec]
    schema: Mapping[str, Any]
    stages: tuple[Stage, ...]
    results: Mapping[str, str]
    resources: Mapping[str, Any]
    retention: Retention
    needs: tuple[str, ...]
    processing: str
    sub_jobs: Mapping[str, SubJobType] = field(default_factory=dict)

    @property
    def snakefile(self) -> Path:
        """Path of the Snakefile."""
        return self.folder / "Snakefile"

    @property
    def stage_names(self) -> list[str]:
        """Names of the stages in the order people read them."""
        return [stage.name for stage in self.stages]

    @classmethod
    def load(cls, folder: Path) -> JobType:
        """Read a job type from its folder.

        Raises
        ------
        InvalidConfiguration
            If ``jobtype.yaml``, the Snakefile or the params schema is missing or wrong.
        """
        path = folder / "jobtype.yaml"
        try:
            text = read_yaml(path)
            return cls._from_mapping(folder, text)
        except FileNotFoundError as error:
            raise InvalidConfiguration(f"{error.filename} is missing.") from error
        except yaml.YAMLError as error:
            raise InvalidConfiguration(f"{path} is no YAML: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidConfiguration(f"{path}: {type(error).__name__}: {error}") from error

    @classmethod
    def _from_mapping(cls, folder: Path, text: Mapping[str, Any]) -> JobType:
        known = {"title", "description", "inputs", "params", "stages", "results", "resources"}
        known |= {"retention", "needs", "processing", "sub_jobs"}
        if unknown := sorted(set(text) - known):
            raise ValueError(f"unknown keys {', '.join(unknown)}")
        schema_file = folder / text.get("params", "params.schema.yaml")
        schema = read_yaml(schema_file)
        jsonschema.Draft202012Validator.check_schema(schema)
        parts = {name: _sub_job(folder, name, s) for name, s in text.get("sub_jobs", {}).items()}
        if parts:
            offered = {name: part.schema() for name, part in parts.items()}
            schema = {**schema, "properties": {**schema.get("properties", {}), **offered}}
        own = (Stage(n, s["title"], s.get("resources", {})) for n, s in text["stages"].items())
        stages = (*(stage for part in parts.values() for stage in part.stages()), *own)
        return cls(
            name=folder.name,
            folder=folder,
            title=text["title"],
            description=text["description"],
            inputs={name: _input(name, spec) for name, spec in text.get("inputs", {}).items()},
            schema=schema,
            stages=stages,
            results=text.get("results", {}),
            resources=text.get("resources", {}),
            retention=Retention.parse(text.get("retention")),
            needs=tuple(text.get("needs", ())),
            processing=text.get("processing", "no"),
            sub_jobs=parts,
        )

    def stage(self, name: str) -> Stage:
        """Give the stage called `name`.

        Raises
        ------
        InvalidRequest
            If there is none; the message lists those that exist.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        known = ", ".join(self.stage_names)
        raise InvalidRequest(f"{self.name} has no stage {name!r}. Its stages are: {known}.")

    def sub_job(self, name: str) -> SubJobType:
        """Give the sub-job called `name`.

        Raises
        ------
        InvalidRequest
            If there is none; the message lists those that exist.
        """
        if name in self.sub_jobs:
            return self.sub_jobs[name]
        known = f"It has: {', '.join(self.sub_jobs)}." if self.sub_jobs else "It has none."
        raise InvalidRequest(f"{self.name} has no sub-job {name!r}. {known}")

    def complete_params(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Check `params` against the schema and fill in the defaults.

        Raises
        ------
        InvalidRequest
            Naming every wrong parameter by its JSON pointer.
        """
        validator = jsonschema.Draft202012Validator(
            self.schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        errors = sorted(validator.iter_errors(dict(params)), key=lambda e: list(map(str, e.path)))
        if errors:
            problems = [
                {"pointer": "/params" + "".join(f"/{p}" for p in e.path), "message": e.message}
                for e in errors
            ]
            lines = "\n".join(f"  {p['pointer']}: {p['message']}" for p in problems)
            hint = f"`jobrunner types {self.name}` lists the parameters."
            raise InvalidRequest(f"Wrong parameters:\n{lines}\n{hint}", problems)
        complete = _with_defaults(self.schema, params)
        for name, part in self.sub_jobs.items():
            complete[name] = {**_with_defaults(part.type.schema, complete[name]), **part.params}
        return complete


def _with_defaults(schema: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    defaults = {name: spec["default"] for name, spec in properties.items() if "default" in spec}
    return {**defaults, **params}


def _sub_job(folder: Path, name: str, spec: Mapping[str, Any]) -> SubJobType:
    if not _SUB_JOB.fullmatch(name):
        raise ValueError(f"the sub-job {name!r} must be named with small letters and digits")
    used = JobType.load(folder.parent / spec["type"])
    if used.sub_jobs:
        raise ValueError(f"the sub-job {name} is of a composite type, {used.name}")
    return SubJobType(name, spec.get("title", used.title), used, spec.get("params", {}))


def _input(name: str, spec: Mapping[str, Any]) -> InputSpec:
    return InputSpec(
        name=name,
        title=spec.get("title", name),
        description=spec.get("description", ""),
        suffixes=tuple(spec["suffixes"]),
        max_size=parse_size(spec["max_size"]) if "max_size" in spec else None,
        required=bool(spec.get("required", False)),
    )


def parse_size(text: str | int) -> int:
    """Turn ``"500 MB"`` into bytes; units are powers of ten.

    Raises
    ------
    ValueError
        If it is no size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?b)?", str(text).strip().lower())
    if not match:
        raise ValueError(f"{text!r} is no size such as 500 MB")
    return int(float(match[1]) * _UNITS[match[2] or "b"])
