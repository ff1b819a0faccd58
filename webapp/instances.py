"""Instances: which job types a tenant may use, where they run, and its limits.

One file each: ``<home>/config/instances/NAME.yaml``, else the one of that name that comes with the
runner. config/README.md explains each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from runner import share
from runner.errors import InvalidConfiguration, InvalidRequest, NotFound
from runner.launch import ProcessingRequest
from runner.profile import load as load_profile
from runner.release import ReleaseStore
from webapp.config_files import ConfigFiles
from webapp.instance_file import Instance, TypeRule, read

__all__ = ["Choice", "Instance", "Instances", "TypeRule"]


@dataclass(frozen=True)
class Choice:
    """What a job gets, by what its instance says and what was asked for.

    Attributes
    ----------
    version : str
        Label of the release.
    caps : mapping
        The most that it may take, by resource.
    """

    version: str
    profile: str
    processing: ProcessingRequest | None
    caps: Mapping[str, Any] = field(default_factory=dict)


class Instances:
    """All instances, read again whenever a file has changed.

    Parameters
    ----------
    home : Path
        Files in ``<home>/config/instances/`` go before those that come with the runner.

    Attributes
    ----------
    problems : list of str
        What is wrong with which file; such an instance stays as it last was right.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        folders = [root / "config" / "instances" for root in (share.root(), home)]
        self._files = ConfigFiles(folders, read)

    @property
    def problems(self) -> list[str]:
        """What is wrong with which file."""
        return list(self._files.wrong.values())

    def all(self) -> dict[str, Instance]:
        """Give all instances by name."""
        return self._files.all()

    def get(self, name: str) -> Instance:
        """Give one instance.

        Raises
        ------
        NotFound
            If there is none, or its file was never right.
        """
        known = self.all()
        if name in known:
            return known[name]
        if name in self._files.wrong:
            raise NotFound(
                f"The file of instance {name!r} is wrong; an operator finds the reason in the "
                "log of the service."
            )
        raise NotFound(f"There is no instance {name!r}. Ask an operator for its name.")

    def resolve(
        self,
        releases: ReleaseStore,
        name: str,
        type_name: str,
        version: str | None = None,
        profile: str | None = None,
    ) -> Choice:
        """Choose what a job of an instance gets.

        Parameters
        ----------
        releases : ReleaseStore
            Where the job types are.
        name : str
            The instance.
        type_name : str
            The job type.
        version : str, optional
            The version asked for; the newest that the instance may use by default.
        profile : str, optional
            The profile asked for; that of the type, else of the instance by default.

        Raises
        ------
        InvalidRequest
            Pointing at the field that names what is not there, or not allowed.
        InvalidConfiguration
            If the instance itself names a profile that does not exist.
        """
        try:
            instance = self.get(name)
        except NotFound as error:
            _refuse({"/instance": error.message})
        rule = instance.rule(type_name)
        found, wrong = _newest(releases, rule, instance, type_name, version)
        if profile and (missing := self._no_profile(profile)):
            wrong["/profile"] = missing
        if wrong:
            _refuse(wrong)
        used = rule.profile or instance.profile
        if not profile and (missing := self._no_profile(used)):
            raise InvalidConfiguration(
                f"Instance {name} names a profile that is missing. {missing}"
            )
        return Choice(found, profile or used, rule.processing, instance.caps(type_name))

    def caps(self, name: str, type_name: str) -> dict[str, Any]:
        """Give the most that a job may take now; nothing of an instance that is gone."""
        found = self.all().get(name)
        return found.caps(type_name) if found else {}

    def _no_profile(self, name: str) -> str | None:
        try:
            load_profile(name, self._home)
        except (NotFound, InvalidRequest) as error:
            return error.message
        return None


def _newest(
    releases: ReleaseStore,
    rule: TypeRule,
    instance: Instance,
    type_name: str,
    version: str | None,
) -> tuple[str, dict[str, str]]:
    """Give the label of the newest release that may be used, or what is wrong."""
    every = releases.all()
    having = [release for release in every if type_name in release.type_names()]
    if not having:
        releases.publish_shipped()  # the first job of a new home
        every = releases.all()
        having = [release for release in every if type_name in release.type_names()]
    if not having:
        known = ", ".join(sorted({name for release in every for name in release.type_names()}))
        return "", {"/type": f"There is no job type {type_name!r}. There are: {known}."}
    allowed = [release.label for release in having if rule.allows(release.label)]
    found = [label for label in allowed if version in (None, label)]
    if found:
        return found[-1], {}
    what = f"version {version!r} of {type_name}" if version else f"any version of {type_name}"
    known = ", ".join(allowed) or "none"
    return "", {"/version": f"{instance.name} may not use {what}. It may use: {known}."}


def _refuse(wrong: Mapping[str, str]) -> NoReturn:
    problems = [{"pointer": pointer, "message": message} for pointer, message in wrong.items()]
    raise InvalidRequest("\n".join(wrong.values()), problems)
