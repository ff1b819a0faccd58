"""The command ``doctor``: what works on this machine, and what to do where it does not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from runner import environments, limits, share
from runner.cli import document
from runner.cli.options import home_option, json_option
from runner.errors import JobRunnerError
from runner.home import Home

_ENOUGH = 5 * 10**9  # bytes: stage environments and a few jobs


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` says what to do if it is not fine."""

    name: str
    fine: bool
    found: str
    advice: str = ""


@click.command()
@json_option
@home_option
def doctor(home_folder: str | None, as_json: bool) -> None:
    """Say what works on this machine, and what to do about what does not."""
    home = Home.find(home_folder)
    checks: list[Callable[[Home], Finding]] = [
        _python, _snakemake, _conda, _uv, _standin, _git, _home, _disk, _limits, _releases,
    ]  # fmt: skip
    findings = [check(home) for check in checks]
    if as_json:
        document.show([asdict(finding) for finding in findings])
    else:
        _show(findings)
    sys.exit(0 if all(finding.fine for finding in findings) else 1)


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in findings:
        mark = "[green]ok  [/]" if finding.fine else "[bold red]bad [/]"
        console.print(f"{mark} {finding.name:<20} {escape(finding.found)}", soft_wrap=True)
        if finding.advice:
            console.print(f"     {'':<20} [dim]{escape(finding.advice)}[/]", soft_wrap=True)


def _python(_: Home) -> Finding:
    version = sys.version.split()[0]
    return Finding("python", sys.version_info >= (3, 11), f"{version} ({sys.executable})")


def _snakemake(_: Home) -> Finding:
    from importlib.metadata import version

    path = _package("snakemake")
    compiled = path is not None and any((path / "__pycache__").glob("*.pyc"))
    return Finding(
        "snakemake",
        compiled,
        version("snakemake") + ("" if compiled else ", not byte-compiled"),
        "" if compiled else "Each start costs seconds more: python -m compileall on its folder.",
    )


def _conda(_: Home) -> Finding:
    if found := environments.find_conda():
        return Finding("conda", True, found)
    advice = "Only environments with packages from conda channels need one (Miniforge has it)."
    return Finding("conda", True, "none; uv builds the stage environments", advice)


def _uv(_: Home) -> Finding:
    from runner.standin import uvtool

    try:
        return Finding("uv", True, uvtool.executable())
    except JobRunnerError as error:
        return Finding("uv", False, "none", error.message)


def _standin(home: Home) -> Finding:
    try:
        folder = environments.standin_folder(home.environments)
    except JobRunnerError as error:
        return Finding("stand-in for conda", False, "cannot be written", error.message)
    advice = f'For a bare snakemake: export PATH="{folder}:$PATH"'
    return Finding("stand-in for conda", True, str(folder), advice)


def _git(_: Home) -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding("git", False, "none", "Install git: processing repositories need it.")
    text = subprocess.run([path, "--version"], capture_output=True, text=True).stdout.strip()
    return Finding("git", True, text)


def _home(home: Home) -> Finding:
    folder = home.path
    while not folder.exists():
        folder = folder.parent
    fine = os.access(folder, os.W_OK)
    advice = "" if fine else "Name another with --home or JOBRUNNER_HOME."
    return Finding("home", fine, str(home.path), advice)


def _disk(home: Home) -> Finding:
    folder = home.path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    fine = free >= _ENOUGH
    advice = "" if fine else "Stage environments need about 3 GB: free some, or use another --home."
    return Finding("disk", fine, f"{free / 1e9:.1f} GB free", advice)


def _limits(_: Home) -> Finding:
    try:
        return Finding("limits of stages", True, limits.method(), limits.advice())
    except JobRunnerError as error:
        return Finding("limits of stages", False, "none", error.message)


def _releases(home: Home) -> Finding:
    try:
        home.releases.publish_shipped()
        names = sorted({name for release in home.releases.all() for name in release.type_names()})
    except (JobRunnerError, OSError) as error:
        return Finding("job types", False, str(share.root()), str(error))
    return Finding("job types", True, ", ".join(names))


def _package(name: str) -> Path | None:
    from importlib.util import find_spec

    spec = find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
