"""The OpenAPI document is valid, complete, and shown by a page that asks no other host."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.webapp.api_home import Api, running

_ARGUMENT, _IN_BRACES = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>"), r"{\1}"
BESIDE = ("docs", "openapi")  # blueprints of the page and of the document itself


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("openapi")
    shutil.copy(sqlite_template, folder / "service.db")
    with running(folder, f"sqlite:///{folder / 'service.db'}") as api:
        yield api


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    answer = api.call("GET", "/api/openapi.json", token=None)
    assert answer.status_code == 200
    return dict(answer.json or {})


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    problems = [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()]
    assert not problems


def test_every_route_is_in_the_document(api: Api, document: dict[str, Any]) -> None:
    routes = {
        f"{method} {_ARGUMENT.sub(_IN_BRACES, rule.rule)}"
        for rule in api.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint.split(".")[0] not in BESIDE
    }
    assert {name for name, _ in operations(document)} == routes


def test_every_operation_says_what_it_is_for_and_who_may(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for name, operation in operations(document):
        assert operation["summary"].endswith("."), name
        assert set(operation["tags"]) <= tags, name
        assert operation["tags"], name
        is_open = operation.get("security") == []
        assert is_open == name.endswith("z"), name  # healthz, readyz
        for parameter in operation["parameters"]:
            assert "$ref" in parameter or parameter["in"] == "path" or parameter["description"], (
                name,
                parameter,
            )


def test_every_operation_declares_its_errors_in_the_one_shape(document: dict[str, Any]) -> None:
    shape = {"$ref": "#/components/schemas/Problem"}
    for name, operation in operations(document):
        responses = operation["responses"]
        assert any(status < "400" for status in responses), name
        assert all(response["description"] for response in responses.values()), name
        expected = {"400", "500"}
        if operation.get("security") != []:
            expected |= {"401", "403", "422", "429", "503"}
        if "{" in name:
            expected.add("404")
        if "requestBody" in operation:
            expected |= {"413", "415"}
        assert expected <= set(responses), name
        for status, response in responses.items():
            if status >= "400" and not name.endswith("readyz"):
                assert response["content"] == {"application/problem+json": {"schema": shape}}, name


def test_submitting_is_described_as_a_form_with_files(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    assert "request" in json.dumps(content["multipart/form-data"]["schema"])


def test_streams_and_exports_are_described(document: dict[str, Any]) -> None:
    def types(path: str) -> set[str]:
        return set(document["paths"]["/api/v1" + path]["get"]["responses"]["200"]["content"])

    assert types("/jobs") == {"application/json", "application/x-ndjson"}
    assert {"application/json", "text/event-stream"} <= types("/jobs/{job_id}/events")
    assert {"text/plain", "text/event-stream"} <= types("/jobs/{job_id}/log")


def test_the_page_names_no_other_host(api: Api) -> None:
    page = api.call("GET", "/api/docs", token=None)
    assert page.mimetype == "text/html"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 4
    fetched = {link: api.call("GET", f"/api/{link}", token=None) for link in links}
    assert all(answer.status_code == 200 for answer in fetched.values())
    style = next(answer.text for link, answer in fetched.items() if link.endswith(".css"))
    for text in (page.text, style.replace("http://www.w3.org/2000/svg", "")):
        assert not re.search(r"(?:https?:)?//[\w-]+\.\w+", text)
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert "validatorUrl: null" in fetched["docs/start.js"].text


def test_the_page_gives_no_other_file(api: Api) -> None:
    for name in ("VERSION", "..%2findex.html", "index.html", "%2e%2e"):
        assert api.call("GET", f"/api/docs/{name}", token=None).status_code == 404


def test_what_is_vendored_says_which_version_and_licence() -> None:
    folder = Path(__file__).resolve().parents[2] / "webapp" / "static" / "swagger-ui"
    assert re.search(r"swagger-ui-dist \d+\.\d+\.\d+", (folder / "VERSION").read_text())
    assert "Apache License" in (folder / "LICENSE").read_text()
