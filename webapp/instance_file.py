"""One instance, as its file says.

Where such files lie, `webapp.instances` knows; config/README.md explains each key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from runner.errors import InvalidConfiguration, InvalidRequest
from runner.files import safe_label
from runner.launch import ProcessingRequest
from runner.retention import Retention
from webapp.config_files import read_checked
from webapp.instance_notices import Mail, Webhook, mail_of, webhooks_of


@dataclass(frozen=True)
class TypeRule:
    """What an instance says of one job type; None, or nothing in it: nothing of its own."""

    versions: tuple[str, ...] | None = None
    running: int | None = None
    profile: str | None = None
    processing: ProcessingRequest | None = None
    retention: Retention = field(default_factory=Retention)
    limits: Mapping[str, Any] = field(default_factory=dict)

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
    mail : Mail
        How it sends mails.
    webhooks : tuple of Webhook
        Who is told of events of its jobs.
    retention : Retention
        How long files of its jobs are kept, where it says so.
    limits : mapping
        The most that one of its jobs may take: ``cores``, ``mem_mb`` (MB), ``runtime`` (minutes),
        ``disk_mb`` (MB), ``gpu``.
    """

    name: str
    title: str
    profile: str = "local"
    types: Mapping[str, TypeRule] | None = None
    running: int | None = None
    max_priority: int = 100
    mail: Mail = field(default_factory=Mail)
    webhooks: tuple[Webhook, ...] = ()
    retention: Retention = field(default_factory=Retention)
    limits: Mapping[str, Any] = field(default_factory=dict)

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

    def retention_of(self, type_name: str) -> Retention:
        """Give what it says of the files of a job type's jobs, also of a type of former times."""
        rule = (self.types or {}).get(type_name, TypeRule())
        return rule.retention.over(self.retention)

    def caps(self, type_name: str) -> dict[str, Any]:
        """Give the most that a job of a type may take; what is said of the type goes first."""
        rule = (self.types or {}).get(type_name, TypeRule())
        return {**self.limits, **rule.limits}


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
    text = read_checked(path, "instance.schema.yaml")
    try:
        return _instance(path.stem, text)
    except ValueError as error:
        raise InvalidConfiguration(f"{path} is wrong:\n  {error}") from error


def _instance(name: str, text: Mapping[str, Any]) -> Instance:
    types = text.get("types")
    return Instance(
        name=name,
        title=text.get("title", name),
        profile=text.get("profile", "local"),
        types=None if types is None else {t: _rule(t, spec or {}) for t, spec in types.items()},
        running=text.get("running"),
        max_priority=text.get("max_priority", 100),
        mail=mail_of(text.get("mail")),
        webhooks=webhooks_of(text.get("webhooks")),
        retention=Retention.parse(text.get("retention"), "/retention"),
        limits=text.get("limits", {}),
    )


def _rule(name: str, spec: Mapping[str, Any]) -> TypeRule:
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
        retention=Retention.parse(spec.get("retention"), f"/types/{name}/retention"),
        limits=spec.get("limits", {}),
    )
