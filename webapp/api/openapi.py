"""The OpenAPI document: what APIFlask finds in the views, with what all of them share."""

from __future__ import annotations

import re
from typing import Any

from webapp.api import problem
from webapp.api.schemas import Problem

_METHODS = ("get", "post", "put", "patch", "delete")
_REFERENCE = "#/components/schemas/"
# What ``@blueprint.doc(responses=…)`` takes.
Responses = dict[int | str, dict[str, str | dict[str, dict[str, Any]]]]
SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token made by `jobrunner token create` (`jr_…`), or a JSON Web Token of "
        "an issuer that the operators trust.",
    }
}
DESCRIPTION = """\
Submit jobs, follow them and fetch their results.

Every request but those for `/healthz` and `/readyz` needs a token: `Authorization: Bearer …`.
Times are RFC 3339 in UTC. Every error is `application/problem+json` with a `code` for programs, a
`detail` for people, and a JSON pointer for each field that is wrong. A job of an instance that a
token has no right to does not exist for it: 404.
"""
TAGS = [
    {"name": "jobs", "description": "Submit, list, read, change, cancel, run again, delete."},
    {"name": "events", "description": "What happened to a job, as JSON or as a stream."},
    {"name": "files", "description": "Logs, results, and a zip of all."},
    {"name": "notices", "description": "Mails and webhooks: what was sent, what waits."},
    {"name": "types", "description": "What kinds of jobs there are and what they need."},
    {"name": "operations", "description": "Queue, pools, workers, instances; limits and pauses."},
    {"name": "health", "description": "Whether the service answers; no token is needed."},
]
# The tag of what is in a blueprint, where it has not the blueprint's name.
_TAG_OF = {
    "submit": "jobs",
    "actions": "jobs",
    "listing": "jobs",
    "job": "jobs",
    "log": "files",
    "deliveries": "notices",
    "directory": "files",
    "health_of_host": "health",
    "incidents": "operations",
    "metrics": "operations",
    "metrics_of_host": "operations",
}
_ACTING = {
    "name": "X-Jobrunner-User",
    "in": "header",
    "description": "The user for whom a service asks; only for tokens that may act for others.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.@+-]{1,150}$"},
}
_SHARED = {
    "400": "The request cannot be read.",
    "401": "No token, or one that is unknown, expired or revoked.",
    "403": "The token's role may not do this.",
    "404": "There is no such thing, or the token has no right to it.",
    "413": "The body is too large.",
    "415": "The body is of a wrong media type.",
    "422": "Something in the request is wrong; `problems` says what and where.",
    "429": "Too many requests of this token, or too many wrong tokens from this address; "
    "`Retry-After` says when to try again.",
    "500": "An error of the service; its log has more under `request_id`.",
    "503": "Something that the service needs is away; `Retry-After` says when to try again.",
}


def complete(document: Any) -> Any:
    """Add to the document what no view says: names, security, errors in their shape.

    Parameters
    ----------
    document : dict
        As APIFlask makes it.
    """
    document = _plain_names(document)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = Problem.model_json_schema(ref_template=_REFERENCE + "{model}")
    schemas.update(schemas["Problem"].pop("$defs", {}))
    document["components"]["parameters"] = {"ActingUser": _ACTING}
    document["security"] = [{"token": []}]
    document["tags"] = TAGS
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                _complete_operation(path, method, operations[method])
    return document


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    tags = [tag.lower().replace(" ", "_") for tag in operation.get("tags", ())]
    operation["tags"] = [_TAG_OF.get(tag, tag) for tag in tags]
    if operation["tags"] == ["health"]:
        operation["security"] = []
    operation.setdefault("operationId", _operation_id(path, method))
    responses = operation["responses"]
    for status in _statuses(path, operation):
        responses.setdefault(status, {"description": _SHARED[status]})
    for status, response in responses.items():
        if status >= "400" and not _says_own_shape(response):
            response["content"] = {problem.MIMETYPE: {"schema": {"$ref": _REFERENCE + "Problem"}}}
    operation["responses"] = dict(sorted(responses.items()))
    for parameter in operation.setdefault("parameters", []):
        _lift_description(parameter)
    if operation.get("security") != []:
        operation["parameters"].append({"$ref": "#/components/parameters/ActingUser"})


def _operation_id(path: str, method: str) -> str:
    """Give a name for generated clients: ``post_jobs_job_id_cancel``."""
    place = path.removeprefix("/api/v1")
    name = re.sub(r"[^a-z0-9]+", "_", place.lower()).strip("_")
    return f"{method}_{name}" if place != path else f"{method}_{name}_of_host"


def _says_own_shape(response: dict[str, Any]) -> bool:
    """Whether a view declares what an error looks like (``/readyz`` does)."""
    shapes = [content.get("schema", {}) for content in response.get("content", {}).values()]
    return any(
        reference and not reference.endswith(("/HTTPError", "/ValidationError"))
        for reference in (shape.get("$ref", "") for shape in shapes)
    )


def _statuses(path: str, operation: dict[str, Any]) -> list[str]:
    open_to_all = operation.get("security") == []
    found = ["400", "500"]
    if not open_to_all:
        found += ["401", "403", "422", "429", "503"]
    if "{" in path:
        found.append("404")
    if "requestBody" in operation:
        found += ["413", "415"]
    return found


def _lift_description(parameter: dict[str, Any]) -> None:
    """Say of a parameter itself what pydantic says of its schema, so that pages show it."""
    schema = parameter.get("schema", {})
    if description := schema.pop("description", None):
        parameter.setdefault("description", description)
    schema.pop("title", None)


def _plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """Give each model one name: APIFlask puts that of the outer model before nested ones."""
    schemas = document.get("components", {}).get("schemas", {})
    names = {name: name.rsplit(".", 1)[-1] for name in schemas}
    renamed: dict[str, Any] = _renamed(document, names)
    plain: dict[str, Any] = {}
    for name, schema in renamed.get("components", {}).get("schemas", {}).items():
        plain.setdefault(names[name], schema)
    if plain:
        renamed["components"]["schemas"] = dict(sorted(plain.items()))
    return renamed


def _renamed(part: Any, names: dict[str, str]) -> Any:
    if isinstance(part, list):
        return [_renamed(element, names) for element in part]
    if not isinstance(part, dict):
        return part
    copied = {key: _renamed(value, names) for key, value in part.items()}
    reference = copied.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REFERENCE):
        name = reference.removeprefix(_REFERENCE)
        copied["$ref"] = _REFERENCE + names.get(name, name.rsplit(".", 1)[-1])
    return copied
