"""Whether an answer is one that the OpenAPI document describes."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import jsonschema
from apiflask import APIFlask
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

_BESIDE = ("docs", "openapi")


class Conformity:
    """Checks answers against the document of an application."""

    def __init__(self, app: APIFlask) -> None:
        self._app = app

    @cached_property
    def _document(self) -> Any:
        return self._app.test_client().get("/api/openapi.json").json

    def check(self, method: str, path: str, answer: TestResponse) -> None:
        """See that status, media type and content are what the document says."""
        if not (operation := self._operation(method, path)):
            return
        where = f"{method} {path}: {answer.status_code}"
        responses = operation["responses"]
        assert str(answer.status_code) in responses, f"{where} is not documented: {answer.text}"
        contents = responses[str(answer.status_code)].get("content", {})
        if not contents:
            assert not answer.get_data(), where
            return
        described = contents.get(answer.mimetype) or contents.get("*/*")
        assert described, f"{where} has {answer.mimetype}, described are {list(contents)}"
        if answer.mimetype.endswith("json"):
            self._validate(described["schema"], answer.json)

    def _operation(self, method: str, path: str) -> Any:
        try:
            found = self._app.url_map.bind("localhost").match(
                urlsplit(path).path, method, return_rule=True
            )
        except HTTPException:
            return None
        rule = found[0]
        if not rule.endpoint.startswith(self._documented()):
            return None
        name = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)
        return self._document["paths"][name][method.lower()]

    def _documented(self) -> tuple[str, ...]:
        """Give the blueprints that are in the document; tests add views without one."""
        return tuple(f"{name}." for name in self._app.blueprints if name not in _BESIDE)

    def _validate(self, schema: Any, content: Any) -> None:
        whole = {**schema, "components": self._document["components"]}
        jsonschema.Draft202012Validator(whole).validate(content)
