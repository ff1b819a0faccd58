"""What a Snakefile declares, in Snakemake's own reading; nothing is run."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner import command


class BrokenSnakefile(Exception):
    """A Snakefile that Snakemake cannot read; the message says where."""


@dataclass(frozen=True)
class Rule:
    """A rule as it was written.

    Attributes
    ----------
    runs : bool
        Whether it does anything; a rule such as ``all`` only asks for files.
    local : bool
        Whether it is to be run where Snakemake runs, without an environment of its own.
    environment : str or None
        The conda file or container that it names.
    folder : str
        Of the file that it stands in: where a relative environment file is looked up.
    """

    name: str
    runs: bool
    local: bool
    log: bool
    environment: str | None
    conda: bool
    folder: str
    outputs: tuple[str, ...]


def rules(snakefile: Path, config: Mapping[str, Any]) -> list[Rule]:
    """Give the rules of a Snakefile.

    Parameters
    ----------
    snakefile : Path
        The file.
    config : mapping
        What a ``job.yaml`` says: which rules there are may depend on it.

    Raises
    ------
    BrokenSnakefile
        If it cannot be read.
    """
    command.warm()
    with tempfile.TemporaryDirectory(prefix="jobrunner-check-") as scratch:
        answer = Path(scratch, "answer.json")
        pid = os.fork()
        if pid == 0:  # Snakemake keeps state in its modules: each reading has its own process
            code = 1
            with contextlib.suppress(BaseException):
                answer.write_text(json.dumps(_read_quietly(snakefile, config, Path(scratch))))
                code = 0
            os._exit(code)
        os.waitpid(pid, 0)
        if not answer.is_file():
            raise BrokenSnakefile(f"{snakefile.name} ends Snakemake itself when it is read.")
        told = json.loads(answer.read_text())
    if "error" in told:
        raise BrokenSnakefile(told["error"])
    return [Rule(**{**rule, "outputs": tuple(rule["outputs"])}) for rule in told["rules"]]


def _read_quietly(snakefile: Path, config: Mapping[str, Any], workdir: Path) -> dict[str, Any]:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return {"rules": _read(snakefile, config, workdir)}
        except BaseException as error:
            return {"error": _said(error, snakefile)}


def _read(snakefile: Path, config: Mapping[str, Any], workdir: Path) -> list[dict[str, Any]]:
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings()) as api:
        opened = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(config=dict(config)),
            snakefile=snakefile,
            workdir=workdir,
        )
        workflow = opened._workflow  # no public way leads to the rules
        return [asdict(_rule(rule, workflow)) for rule in workflow.rules]


def _rule(rule: Any, workflow: Any) -> Rule:
    environment = rule.conda_env or rule.container_img or rule.env_modules
    return Rule(
        name=rule.name,
        runs=bool(rule.shellcmd or rule.script or rule.notebook or rule.wrapper or rule.is_run),
        local=rule.name in workflow._localrules,
        log=bool(rule.log),
        environment=None if environment is None else str(environment),
        conda=bool(rule.conda_env),
        folder=str(Path(rule.snakefile).parent),
        outputs=tuple(str(output) for output in rule.output),
    )


def _said(error: BaseException, snakefile: Path) -> str:
    """Say what is wrong, and in which line of which file."""
    file, line = getattr(error, "filename", None), getattr(error, "lineno", None)
    trace = error.__traceback__
    while trace is not None and file is None:
        name = trace.tb_frame.f_code.co_filename
        if Path(name).is_relative_to(snakefile.parents[1]):
            line = trace.tb_lineno
        trace = trace.tb_next
    where = Path(str(file)).name if file else snakefile.name
    text = getattr(error, "msg", None) or str(error) or type(error).__name__
    return f"{where}, line {line}: {text}" if line else f"{where}: {type(error).__name__}: {text}"
