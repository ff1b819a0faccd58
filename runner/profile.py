"""Execution profiles: where a platform is and how rules run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from runner import reference, share
from runner.errors import InvalidConfiguration, NotFound
from runner.files import read_yaml, safe_label

DSN_VARIABLE = "JOBRUNNER_PLATFORM_DSN"
PUBLISH_VARIABLE = "JOBRUNNER_PUBLISH_OPTIONS"


@dataclass(frozen=True)
class Profile:
    """One file of ``config/profiles/``; config/README.md explains each key.

    Attributes
    ----------
    dsn : str or None
        Reference to the platform's address: ``env:NAME`` or ``file:PATH``.
    embedded : str or None
        SQLite file of an embedded platform, relative to the home folder.
    publish : str or None
        Reference to the options, with credentials, of places where results are published (JSON).
    create_names : bool
        Whether unknown regions and units are created.
    layers : str
        Folder of map layers, relative to the home folder; ``{instance}`` in it is the instance.
    executor : {"local", "slurm"}
        What runs the rules.
    pool : str
        The pool whose workers run its jobs, in the service.
    environments : {"auto", "conda", "uv", "modules", "none"}
        How stage environments are made.
    modules : mapping
        How environment modules are called (``name``), and a folder of module files (``use``).
    limits : mapping
        ``cores``, ``mem_mb`` (MB), ``runtime`` (minutes of wall time for one attempt), ``disk_mb``
        (MB), ``gpu``.
    slurm : mapping
        Where in the cluster rules run, and how patient the runner is with it.
    types : mapping
        By name of a job type: resources and places in the cluster that differ, also by stage.
    """

    name: str
    title: str
    dsn: str | None
    embedded: str | None
    publish: str | None
    create_names: bool
    layers: str
    executor: str
    pool: str
    environments: str
    limits: Mapping[str, Any]
    slurm: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)

    def platform_config(self, home: Path, instance: str = "default") -> dict[str, Any]:
        """Give what a job of an instance may know of the platform: no credential."""
        layers = str(home / self.layers.replace("{instance}", instance))
        known: dict[str, Any] = {"create_names": self.create_names, "layers": layers}
        return known if self.embedded is None else {"embedded": str(home / self.embedded), **known}

    def credentials(self) -> dict[str, str]:
        """Give the environment variables that carry addresses and passwords to the rules.

        Raises
        ------
        InvalidConfiguration
            If something that the profile refers to is not there.
        """
        found = {}
        if self.dsn is not None:
            who = f"Profile {self.name} takes the platform's address from"
            found[DSN_VARIABLE] = reference.read(self.dsn, who)
        if self.publish is not None:
            who = f"Profile {self.name} takes its publish options from"
            found[PUBLISH_VARIABLE] = reference.read(self.publish, who)
        return found


def load(name: str, home: Path) -> Profile:
    """Read a profile: from ``<home>/config/profiles``, else from those that come with the runner.

    Raises
    ------
    NotFound
        If there is none of that name.
    InvalidConfiguration
        If the file is wrong.
    """
    safe_label(name, "Profile")
    folders = [home / "config" / "profiles", share.root() / "config" / "profiles"]
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _parse(name, path)
    known = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise NotFound(f"There is no profile {name!r}. There are: {', '.join(known)}.")


def _parse(name: str, path: Path) -> Profile:
    schema = read_yaml(Path(__file__).with_name("profile.schema.yaml"))
    try:
        text = read_yaml(path)
    except yaml.YAMLError as error:
        raise InvalidConfiguration(f"{path} is no YAML: {error}") from error
    if errors := list(jsonschema.Draft202012Validator(schema).iter_errors(text)):
        lines = "\n".join(f"  {error.json_path}: {error.message}" for error in errors)
        raise InvalidConfiguration(f"{path}:\n{lines}")
    platform, executor = text["platform"], text.get("executor", "local")
    return Profile(
        name=name,
        title=text.get("title", name),
        dsn=platform.get("dsn"),
        embedded=platform.get("embedded"),
        publish=text.get("publish"),
        create_names=platform.get("create_names", False),
        layers=platform.get("layers", "layers/{instance}"),
        executor=executor,
        pool=text.get("pool", "slurm" if executor == "slurm" else "default"),
        environments=text.get("environments", "auto"),
        limits=text.get("limits", {}),
        slurm=text.get("slurm", {}),
        types=text.get("types", {}),
        modules=text.get("modules", {}),
    )
