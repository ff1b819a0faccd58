"""What the OpenAPI document says of ``POST /jobs`` that the framework cannot find out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from webapp.api.schemas_writing import JobIn, PlanOut


def _whole(model: type[BaseModel]) -> dict[str, Any]:
    """Give the schema of a model with those of the models in it put where they are used."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(element) for element in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return put(parts[part["$ref"].rsplit("/", 1)[-1]])
        return {key: put(value) for key, value in part.items()}

    done: dict[str, Any] = put(schema)
    return done


_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_FORM = {
    "type": "object",
    "required": ["request"],
    "properties": {"request": _whole(JobIn)},
    "additionalProperties": {**_FILE, "description": "A file, named as the input it is for."},
}
_PLAN = {
    "name": "plan",
    "in": "query",
    "required": False,
    "description": "Answer what would run, and queue nothing.",
    "schema": {"type": "boolean", "default": False},
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of the submitter's own for this request. Sent again with the same body "
    "it gives the same job, for 24 hours unless the service is set otherwise; with another body "
    "it is refused (409).",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
EXTENSIONS: dict[str, Any] = {
    "parameters": [_PLAN, _KEY],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": _FORM,
                "encoding": {"request": {"contentType": "application/json"}},
            },
            "application/json": {"schema": _whole(JobIn)},
        },
    },
}
_HEADERS = {
    "Location": {"description": "The job's URL.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: the job had been accepted before, under the same Idempotency-Key.",
        "schema": {"type": "string"},
    },
}
RESPONSES: dict[int, Any] = {
    200: {
        "description": "With `plan=true`: what would run. Nothing is queued.",
        "content": {"application/json": {"schema": _whole(PlanOut)}},
    },
    202: {"description": "The job is accepted.", "headers": _HEADERS},
    409: "The Idempotency-Key was used for another request.",
    507: "The disk has no room for the job.",
}
