"""``/types``: what kinds of jobs there are, as far as the asker's instances may use them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner import release
from runner.home import Home
from tests.runner.conftest import TOY
from tests.webapp.reading import get
from tests.webapp.writing import Api
from webapp import catalogue


def _publish(api: Api, tmp_path: Path, label: str, title: str) -> None:
    source = tmp_path / label
    shutil.copytree(TOY, source)
    described = source / "workflow" / "toy" / "jobtype.yaml"
    described.write_text(described.read_text().replace("title: Toy", f"title: {title}"))
    Home(api.home).releases.publish(str(source), label)


def test_a_type_lists_its_versions_newest_first(api: Api, tmp_path: Path) -> None:
    viewer = api.token("viewer")
    assert [v["label"] for v in _toy(api, viewer)["versions"]] == ["toy-1"]
    _publish(api, tmp_path, "toy-2", "Toy, improved")
    toy = _toy(api, viewer)
    assert [version["label"] for version in toy["versions"]] == ["toy-2", "toy-1"]
    assert (toy["newest"], toy["title"]) == ("toy-2", "Toy, improved")
    assert toy["instances"] == ["default", "other"]
    assert toy["versions"][0]["published"] > toy["versions"][1]["published"]
    assert toy["versions"][0]["digest"].startswith("sha256:")


def _toy(api: Api, headers: dict[str, str], query: str = "") -> dict[str, object]:
    found = get(api, f"/types{query}", headers).json
    assert found is not None
    (toy,) = [item for item in found["items"] if item["name"] == "toy"]
    return dict(toy)


def test_a_type_is_described_with_schema_inputs_and_stages(api: Api, tmp_path: Path) -> None:
    _publish(api, tmp_path, "toy-2", "Toy, improved")
    viewer = api.token("viewer")
    toy = get(api, "/types/toy", viewer).json
    assert toy is not None
    assert (toy["version"], toy["title"]) == ("toy-2", "Toy, improved")
    assert toy["params"]["properties"]["word"]["maxLength"] == 10
    assert toy["inputs"] == [
        {
            "name": "text",
            "title": "Text",
            "description": "",
            "suffixes": [".txt"],
            "max_size": 1000,
            "required": True,
        }
    ]
    assert [stage["name"] for stage in toy["stages"]] == ["first", "second", "third"]
    assert toy["resources"] == {"cores": 1, "mem_mb": 100, "runtime": 5}
    old = get(api, "/types/toy?version=toy-1", viewer).json
    assert old is not None
    assert (old["version"], old["title"], old["newest"]) == ("toy-1", "Toy", "toy-2")
    missing = get(api, "/types/toy?version=toy-3", viewer)
    assert missing.status_code == 404
    assert "toy-2, toy-1" in missing.json["detail"]  # type: ignore[index]
    assert get(api, "/types/none", viewer).status_code == 404


def test_an_instance_sees_only_what_it_may_use(api: Api, tmp_path: Path) -> None:
    _publish(api, tmp_path, "toy-2", "Toy, improved")
    api.instance("other", "profile: plain\ntypes: {toy: {versions: [toy-1]}}\n")
    api.instance("none", "profile: plain\ntypes: {}\n")
    other, none = api.token("viewer", instance="other"), api.token("viewer", instance="none")
    toy = _toy(api, other)
    assert [version["label"] for version in toy["versions"]] == ["toy-1"]  # type: ignore[union-attr, index, attr-defined]
    assert (toy["newest"], toy["title"], toy["instances"]) == ("toy-1", "Toy", ["other"])
    assert get(api, "/types/toy?version=toy-2", other).status_code == 404
    assert get(api, "/types", none).json == {"items": []}
    assert get(api, "/types/toy", none).status_code == 404
    viewer = api.token("viewer")
    assert _toy(api, viewer)["newest"] == "toy-2"
    assert _toy(api, viewer, "?instance=other")["newest"] == "toy-1"
    assert get(api, "/types?instance=default", other).status_code == 404
    assert get(api, "/types?instance=missing", viewer).status_code == 404


def test_releases_are_not_read_again_for_each_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = api.token("viewer")
    monkeypatch.setattr(catalogue, "_TICK", 0)
    get(api, "/types", viewer)

    def refuse(*_: object) -> None:
        raise AssertionError("a release was read, or hashed, again")

    monkeypatch.setattr(release, "digest", refuse)
    monkeypatch.setattr(release.Release, "job_type", refuse)
    monkeypatch.setattr(release.Release, "verify", refuse)
    monkeypatch.setattr(release.ReleaseStore, "all", refuse)
    assert get(api, "/types/toy", viewer).status_code == 200
    assert get(api, "/types", viewer).status_code == 200


def test_a_release_that_was_removed_is_gone_at_once(api: Api, tmp_path: Path) -> None:
    _publish(api, tmp_path, "toy-2", "Toy, improved")
    viewer = api.token("viewer")
    assert _toy(api, viewer)["newest"] == "toy-2"
    shutil.rmtree(api.home / "releases" / "toy-2")
    assert _toy(api, viewer)["newest"] == "toy-1"


def test_a_new_home_has_what_comes_with_the_runner(api: Api) -> None:
    shutil.rmtree(api.home / "releases")
    found = get(api, "/types", api.token("viewer")).json
    assert found is not None
    assert "import_timeseries" in [item["name"] for item in found["items"]]
