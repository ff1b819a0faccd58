"""``/types``: what kinds of jobs there are, and what each needs."""

from __future__ import annotations

from collections.abc import Iterator

from apiflask import APIBlueprint

from runner.errors import NotFound
from runner.retention import DEFAULT, KINDS, Retention
from webapp.api import auth, reading
from webapp.api.schemas_types import (
    InputOut,
    KeptOut,
    RetentionOut,
    SubJobTypeOut,
    TypeIn,
    TypeOut,
    TypesIn,
    TypesOut,
    TypeStageOut,
    TypeWholeOut,
    VersionOut,
)
from webapp.catalogue import Version
from webapp.instances import Instance

blueprint = APIBlueprint("types", __name__, tag="types")


@blueprint.get("/types")
@blueprint.input(TypesIn, location="query", arg_name="query")
@blueprint.output(TypesOut)
@blueprint.doc(responses={404: "There is no such instance."})
def list_types(query: TypesIn) -> TypesOut:
    """List the job types that the instances of the token may use, each with its versions."""
    instances = _instances(query.instance)
    every = reading.catalogue().versions()
    found = [(name, _allowed(instances, name, every[name])) for name in every]
    return TypesOut(items=[_short(name, *allowed) for name, allowed in found if allowed[0]])


@blueprint.get("/types/<type_name>")
@blueprint.input(TypeIn, location="query", arg_name="query")
@blueprint.output(TypeWholeOut)
def get_type(type_name: str, query: TypeIn) -> TypeWholeOut:
    """Describe a job type: parameters as a JSON Schema, inputs, stages, results, resources.

    Of the newest version that may be used, or of the one that is named.
    """
    every = reading.catalogue().versions().get(type_name, [])
    allowed, names = _allowed(_instances(query.instance), type_name, every)
    if not allowed:
        raise NotFound(f"There is no job type {type_name!r}. GET /api/v1/types lists them.")
    chosen = [v for v in allowed if query.version in (None, v.release.label)]
    if not chosen:
        known = ", ".join(version.release.label for version in allowed)
        raise NotFound(f"There is no version {query.version!r} of {type_name}. There are: {known}.")
    return _whole(_short(type_name, allowed, names), chosen[0])


def _instances(name: str | None) -> list[Instance]:
    """Give the instances that count: the one that is named, else all that the asker sees."""
    auth.require("viewer", instance=name)
    known = auth.service().instances
    if name is not None:
        return [known.get(name)]
    visible = auth.visible_instances()
    return [i for i in known.all().values() if visible is None or i.name in visible]


def _allowed(
    instances: list[Instance], type_name: str, versions: list[Version]
) -> tuple[list[Version], list[str]]:
    """Give the versions that any of the instances may use, newest first, and those instances."""
    rules = {
        instance.name: instance.rule(type_name)
        for instance in instances
        if instance.types is None or type_name in instance.types
    }
    found = [v for v in versions if any(rule.allows(v.release.label) for rule in rules.values())]
    return found, sorted(rules) if found else []


def _short(name: str, versions: list[Version], instances: list[str]) -> TypeOut:
    newest = versions[0]
    return TypeOut(
        name=name,
        title=newest.job_type.title,
        description=newest.job_type.description,
        newest=newest.release.label,
        versions=list(_versions(versions)),
        instances=instances,
        url=f"/api/v1/types/{name}",
    )


def _versions(versions: list[Version]) -> Iterator[VersionOut]:
    for version in versions:
        release = version.release
        yield VersionOut(
            label=release.label,
            digest=release.digest,
            published=release.published,
            source=release.source,
            revision=release.revision,
        )


def _whole(short: TypeOut, version: Version) -> TypeWholeOut:
    job_type = version.job_type
    shown = {**dict(short), "title": job_type.title, "description": job_type.description}
    return TypeWholeOut(
        **shown,
        version=version.release.label,
        params=dict(job_type.schema),
        inputs=[InputOut.model_validate(spec) for spec in job_type.inputs.values()],
        stages=[TypeStageOut.model_validate(stage) for stage in job_type.stages],
        sub_jobs=[
            SubJobTypeOut(name=part.name, title=part.title, type=part.type.name)
            for part in job_type.sub_jobs.values()
        ],
        results=dict(job_type.results),
        resources=dict(job_type.resources),
        retention=_retention(job_type.retention.over(DEFAULT)),
        needs=list(job_type.needs),
        processing=job_type.processing,
    )


def _retention(policy: Retention) -> RetentionOut:
    times = {kind: policy.time(kind) for kind in KINDS}
    failed = {kind: policy.time(kind, failed=True) for kind in KINDS}
    return RetentionOut(**times, failed=KeptOut(**failed))
