"""A job that comes from elsewhere: given a place in a home, so that it goes on there.

What is done stays done: times and Snakemake's records came with it, and commands name what lies
elsewhere by variables. ``job.yaml``, and that of each sub-job, gets the paths of this machine:
those of an embedded platform, of map layers and of the processing repository, which is pinned again
at its commit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from runner import environments, placing, profile
from runner.errors import JobRunnerError
from runner.files import read_yaml, write_json, write_yaml
from runner.home import Home
from runner.jobdir import SUB_JOBS, JobDirectory
from runner.processing import pin
from runner.profile import DSN_VARIABLE, Profile
from runner.release import digest

_PLACES = ("checkout", "environment", "git_config")
_SETTLED = ("platform", "processing")  # what of job.yaml has paths of a machine


class WrongRelease(JobRunnerError):
    """A release that is not the one that its job runs."""

    code = "release_damaged"


@dataclass(frozen=True)
class Missing:
    """Something that the job had where it came from and has not here; `what` is a short name."""

    what: str
    message: str

    def as_dict(self) -> dict[str, str]:
        """Give it as a plain mapping."""
        return {"what": self.what, "message": self.message}


def place_of(home: Home, config: dict[str, Any]) -> Path:
    """Give where a job has its place in a home: by the day of its submission, in UTC."""
    moment = datetime.fromisoformat(config["submitted"]["at"]).astimezone(UTC)
    return home.jobs / moment.strftime("%Y/%m/%d") / str(config["id"])


def adopt_release(home: Home, folder: Path, wanted: dict[str, Any]) -> str:
    """Publish the release of a job that came with it, under its label or a free one.

    New jobs do not use it unless it is asked for, or there is no other.

    Parameters
    ----------
    folder : Path
        A copy of it.
    wanted : mapping
        ``label`` and ``digest``, from the job's ``job.yaml``.

    Returns
    -------
    str
        The label that it has here.

    Raises
    ------
    WrongRelease
        If the copy has another digest.
    """
    if (found := digest(folder)) != wanted["digest"]:
        raise WrongRelease(
            f"The release that came with the job is {found[:19]}…, not {wanted['digest'][:19]}… as "
            "its job.yaml says. Nothing was published; fetch it again."
        )
    label, taken = str(wanted["label"]), {release.label for release in home.releases.all()}
    if label in taken:
        label = f"{label[:90]}+{found.removeprefix('sha256:')[:8]}"
    return home.releases.publish(str(folder), label, adopted=True).label


def has_release(home: Home, wanted: dict[str, Any]) -> bool:
    """Tell whether a home has the release of a job."""
    return wanted["digest"] in {release.digest for release in home.releases.all()}


def settle(home: Home, job: JobDirectory, source: str) -> list[Missing]:
    """Give a job the paths of this machine, and say what it had elsewhere and has not here.

    Parameters
    ----------
    home : Home
        Where it is to go on.
    job : JobDirectory
        As it came.
    source : str
        Where from; it is noted down in the directory.
    """
    missing: list[Missing] = []
    config = dict(job.config)
    needs = _needs(home, config)
    used = _profile(home, config, missing)
    if used and "platform" in needs:
        _credentials(used, missing)
    config["platform"] = _platform(home, config.get("platform") or {}, used, needs, missing)
    if config["platform"].get("layers"):
        store = _layer_store(home, config, used)
        config["platform"] = {**config["platform"], "layers": store}
    if config.get("processing"):
        config["processing"] = _processing(home, config["processing"], missing)
    _environments(used, missing)
    if config != dict(job.config):
        with _same_time(job.path / "job.yaml") as file:
            write_yaml(file, config)
    _hand_on(job, config)
    for name in ("input", "work", "results", "logs", "attempts"):
        (job.path / name).mkdir(exist_ok=True)
    placing.note(job, source)
    return missing


def _hand_on(job: JobDirectory, config: dict[str, Any]) -> None:
    """Give the sub-jobs of a job the paths that the job has."""
    for file in sorted(job.path.glob(f"{SUB_JOBS}/*/job.yaml")):
        try:
            had = read_yaml(file)
        except (OSError, yaml.YAMLError):
            continue  # cut short when its job was killed: the job writes it again
        if not isinstance(had, dict):
            continue
        new = {**had, **{key: config[key] for key in _SETTLED if key in had and key in config}}
        if new != had:
            with _same_time(file):
                write_json(file, new)


@contextmanager
def _same_time(file: Path) -> Iterator[Path]:
    """Keep the time of a file that is written anew: a rule that reads it need not run again."""
    had = file.stat()
    yield file
    os.utime(file, ns=(had.st_atime_ns, had.st_mtime_ns))


def _profile(home: Home, config: dict[str, Any], missing: list[Missing]) -> Profile | None:
    name = str(config.get("profile", "local"))
    try:
        used = profile.load(name, home.path)
    except JobRunnerError as error:
        text = f"{error.message} Write {home.path / 'config' / 'profiles' / name}.yaml."
        missing.append(Missing("profile", text))
        return None
    return used


def _credentials(used: Profile, missing: list[Missing]) -> None:
    try:
        used.credentials()
    except JobRunnerError as error:
        text = f"{error.message} A bare snakemake takes it from {DSN_VARIABLE}."
        missing.append(Missing("credentials", text))


def _needs(home: Home, config: dict[str, Any]) -> tuple[str, ...]:
    """Give what the job type needs of a profile; of one that is not here: all there is."""
    for found in home.releases.all():
        if found.digest == config["release"]["digest"]:
            return tuple(found.job_type(config["type"]).needs)
    return ("platform",)


def _platform(
    home: Home,
    had: dict[str, Any],
    used: Profile | None,
    needs: tuple[str, ...],
    missing: list[Missing],
) -> dict[str, Any]:
    """Lead an embedded platform to the one of this home."""
    if not had.get("embedded"):
        return had
    own = used.platform_config(home.path).get("embedded") if used else None
    path = own or str(home.path / "platforms" / Path(had["embedded"]).name)
    if path != had["embedded"] and "platform" in needs:
        text = (
            "The job stored into a platform of its server, whose data stayed there. A stage that "
            f"stores, or reads names, uses {path} here."
        )
        missing.append(Missing("platform", text))
    return {**had, "embedded": path}


def _layer_store(home: Home, config: dict[str, Any], used: Profile | None) -> str:
    """Give the folder of map layers of this home."""
    instance = str(config.get("instance", "default"))
    known = used.platform_config(home.path, instance) if used else {}
    return str(known.get("layers") or home.path / "layers" / instance)


def _processing(home: Home, had: dict[str, Any], missing: list[Missing]) -> dict[str, Any]:
    """Pin the processing repository again, at the commit that the job has."""
    commit, repository = str(had["commit"]), str(had["repository"])
    plain = commit.startswith("sha256:")
    try:
        as_of = date.fromisoformat(had["as_of"]) if had.get("as_of") else None
        found = pin(
            repository,
            store=home.processing,
            revision=None if plain else commit,
            entry=had.get("entry") or "main",
            as_of=as_of,
        )
        if found.commit == commit:
            return {**had, **{name: found.as_config()[name] for name in _PLACES}}
        why = f"{repository} has other content here."
    except JobRunnerError as error:
        why = error.message
    text = (
        f"The processing repository {repository} at {commit[:19]} cannot be had here: {why} What "
        "is done stays; stages that need it fail. Pull again once it can be reached."
    )
    missing.append(Missing("processing", text))
    return had


def _environments(used: Profile | None, missing: list[Missing]) -> None:
    try:
        mode = environments.resolve_mode(used.environments if used else "auto")
    except JobRunnerError as error:
        missing.append(Missing("environments", error.message))
        return
    if mode != "none":
        text = (
            "The environments of stages stayed on the server: those that a stage needs are built "
            f"when it first runs, by {mode}."
        )
        missing.append(Missing("environments", text))
