"""Is a job type what it says it is? All that is wrong with it, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from runner.errors import InvalidConfiguration, InvalidRequest
from runner.files import read_yaml
from runner.jobtype import JobType
from runner.snakefile import BrokenSnakefile, Rule, rules

_SCHEMA = Path(__file__).with_name("jobtype.schema.yaml")


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a job type.

    Attributes
    ----------
    file : str
        Relative to the folder of the job type.
    where : str
        JSON pointer, or name of the rule.
    """

    file: str
    where: str
    message: str


def job_types(source: Path) -> list[Path]:
    """Give the folders of job types in a workflow source, or in one folder of a job type.

    Raises
    ------
    InvalidRequest
        If there is none.
    """
    if (source / "jobtype.yaml").is_file():
        return [source]
    found = sorted(path.parent for path in source.glob("workflow/*/jobtype.yaml"))
    if not found:
        raise InvalidRequest(
            f"{source} has no job type: neither a jobtype.yaml, nor folders with one in workflow/."
        )
    return found


def check(folder: Path) -> list[Fault]:
    """Check a job type: its ``jobtype.yaml``, its params schema, and the rules of its Snakefile.

    Parameters
    ----------
    folder : Path
        Where the job type lives.

    Returns
    -------
    list of Fault
        Everything that is wrong; nothing if all is well.
    """
    try:
        text = read_yaml(folder / "jobtype.yaml")
    except (OSError, yaml.YAMLError) as error:
        return [Fault("jobtype.yaml", "", f"It cannot be read: {error}")]
    faults = list(_declared(text))
    faults += _params_schema(folder / str((text or {}).get("params", "params.schema.yaml")))
    if faults:
        return faults
    try:
        job_type = JobType.load(folder)
    except InvalidConfiguration as error:
        return [Fault("jobtype.yaml", "", error.message)]
    return list(_workflow(job_type))


def _declared(text: object) -> Iterator[Fault]:
    schema = read_yaml(_SCHEMA)
    for error in jsonschema.Draft202012Validator(schema).iter_errors(text):
        yield Fault("jobtype.yaml", _pointer(error.absolute_path), _explained(error))


def _explained(error: jsonschema.ValidationError) -> str:
    schema, instance = error.schema, error.instance
    unknown = error.validator == "additionalProperties"
    if not unknown or not isinstance(schema, Mapping) or not isinstance(instance, Mapping):
        return str(error.message)
    known = list(schema.get("properties", {}))
    said = [
        f"{name!r} is no key here.{_near(str(name), known)}"
        for name in instance
        if name not in known
    ]
    return " ".join(said) + f" Known are: {', '.join(known)}."


def _params_schema(path: Path) -> Iterator[Fault]:
    try:
        schema = read_yaml(path)
        jsonschema.Draft202012Validator.check_schema(schema)
    except (OSError, yaml.YAMLError) as error:
        yield Fault(path.name, "", f"It cannot be read: {error}")
        return
    except jsonschema.SchemaError as error:
        yield Fault(
            path.name, _pointer(error.absolute_path), f"It is no JSON Schema: {error.message}"
        )
        return
    for name, spec in (schema or {}).get("properties", {}).items():
        where = f"/properties/{name}"
        if "default" in spec:
            for wrong in jsonschema.Draft202012Validator(spec).iter_errors(spec["default"]):
                yield Fault(
                    path.name, f"{where}/default", f"The default does not fit: {wrong.message}"
                )
        if not spec.get("description") and not spec.get("title"):
            yield Fault(path.name, where, "It has neither a title nor a description for people.")


def _workflow(job_type: JobType) -> Iterator[Fault]:
    found: dict[str, Rule] = {}
    for name, config in _cases(job_type):
        try:
            found |= {rule.name: rule for rule in rules(job_type.snakefile, config)}
        except BrokenSnakefile as error:
            yield Fault("Snakefile", "", f"Snakemake cannot read it ({name}): {error}")
            return
    yield from _stages(job_type, found)
    yield from _results(job_type)
    parts = tuple(f"{name}_" for name in job_type.sub_jobs)
    for rule in found.values():
        if not (parts and rule.name.startswith(parts)):  # those are of another type
            yield from _rule(rule)


def _cases(job_type: JobType) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the requests under ``.test/``, else one made up from the defaults."""
    cases = sorted(job_type.folder.glob(".test/*/job.yaml"))
    for case in cases:
        yield f".test/{case.parent.name}", read_yaml(case)
    if not cases:
        inputs = {name: {"path": f"input/{name}"} for name in job_type.inputs}
        try:
            params = job_type.complete_params({})
        except InvalidRequest:  # some have no default
            params = {}
        made = {"id": "check", "type": job_type.name, "inputs": inputs, "params": params}
        yield "with the defaults", {**made, "platform": {"embedded": "platform.db"}}


def _stages(job_type: JobType, found: Mapping[str, Rule]) -> Iterator[Fault]:
    for stage in job_type.stages:
        if stage.name not in found:
            said = (
                f"The stage {stage.name!r} is no rule of the Snakefile.{_near(stage.name, found)}"
            )
            yield Fault("jobtype.yaml", f"/stages/{stage.name}", said)
    if "all" not in found:
        said = "There is no rule `all`: name what a whole job makes, first or as default target."
        yield Fault("Snakefile", "all", said)


def _results(job_type: JobType) -> Iterator[Fault]:
    for name, path in job_type.results.items():
        if not path.startswith("results/"):
            said = f"{path!r} is not below results/, where artifacts are."
            yield Fault("jobtype.yaml", f"/results/{name}", said)


def _rule(rule: Rule) -> Iterator[Fault]:
    if not rule.runs:
        return
    if not rule.log:
        said = 'It has no log: add `log: "logs/…"`, so that what it says is kept.'
        yield Fault("Snakefile", rule.name, said)
    if rule.environment is None and not rule.local:
        said = 'It has no environment: add `conda: "…/envs/….yaml"`, or say `localrule: True`.'
        yield Fault("Snakefile", rule.name, said)
    elif rule.conda and not _is_there(rule):
        yield Fault("Snakefile", rule.name, f"There is no environment file {rule.environment}.")


def _is_there(rule: Rule) -> bool:
    named = Path(str(rule.environment))  # that of a processing repository is made for each job
    return named.is_absolute() or (Path(rule.folder) / named).is_file()


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [k for k in known if k != "all"], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _pointer(path: Iterable[Any]) -> str:
    return "".join(f"/{part}" for part in path)
