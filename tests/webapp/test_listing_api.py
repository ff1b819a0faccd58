"""``GET /jobs``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.webapp.reading import get
from tests.webapp.writing import Api, at
from webapp.listing import paging

NONE = dict.fromkeys(("queued", "running", "stopping", "succeeded", "failed", "cancelled"), 0)


@pytest.fixture
def some(api: Api) -> list[str]:
    """Five jobs, oldest first: three of jane, the last two of joe; the second has ended."""
    jane, joe = api.token(), api.token(name="joe")
    found = [api.job(jane, tags=["a"]), api.job(jane), api.job(jane, instance="other")]
    found += [api.job(joe, priority=5, tags=["a", "b"]), api.job(joe, params={"word": "x"})]
    api.end(found[1])
    return found


def test_a_page_has_the_newest_jobs_a_cursor_and_counts(api: Api, some: list[str]) -> None:
    viewer = api.token("viewer")
    first = get(api, "/jobs?limit=2", viewer).json
    assert first is not None
    assert [item["id"] for item in first["items"]] == some[:2:-1]
    assert first["counts"] == NONE | {"queued": 4, "succeeded": 1}
    assert first["items"][0]["title"] == "Toy"
    assert first["items"][0]["url"] == f"/api/v1/jobs/{some[4]}"
    rest = get(api, f"/jobs?limit=500&cursor={first['next']}", viewer).json
    assert rest is not None
    assert [item["id"] for item in rest["items"]] == some[2::-1]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?user=jane&sort=submitted", [0, 1, 2]),
        ("?status=succeeded", [1]),
        ("?status=succeeded&status=running", [1]),
        ("?status=succeeded,failed", [1]),
        ("?tag=a", [3, 0]),
        ("?tag=a&user=jane", [0]),
        ("?text=SOME+words.txt", [4, 3, 2, 1, 0]),
        ("?text=jo", [4, 3]),
        ("?instance=other", [2]),
        ("?type=toy&version=toy-1&instance=default&status=queued", [4, 3, 0]),
        ("?version=toy-2", []),
        ("?sort=-priority&limit=1", [3]),
        ("?submitted_before=2099-01-01T00:00:00%2B01:00&user=joe", [4, 3]),
        ("?submitted_after=2020-01-01&limit=2", [4, 3]),
        ("?submitted_before=2020-01-01", []),
        ("?started_after=2020-01-01", []),
        ("?parent=P", []),
    ],
)  # fmt: skip
def test_filters_choose_jobs(api: Api, some: list[str], query: str, expected: list[int]) -> None:
    answer = get(api, f"/jobs{query}", api.token("viewer"))
    assert answer.status_code == 200, answer.text
    assert [some.index(item["id"]) for item in answer.json["items"]] == expected  # type: ignore[index]


def test_a_text_finds_a_job_by_the_beginning_of_its_id(api: Api, some: list[str]) -> None:
    found = get(api, f"/jobs?text={some[1].lower()}", api.token("viewer")).json
    assert found is not None
    assert [item["id"] for item in found["items"]] == [some[1]]


def test_counts_say_every_status_whatever_the_list_shows(api: Api, some: list[str]) -> None:
    viewer = api.token("viewer")
    by_place = get(api, "/jobs?status=succeeded&instance=default", viewer).json
    assert by_place is not None
    assert by_place["counts"] == NONE | {"queued": 3, "succeeded": 1}
    by_user = get(api, "/jobs?status=succeeded&user=jane", viewer).json
    assert by_user is not None
    assert by_user["counts"] == NONE | {"queued": 2, "succeeded": 1}


def test_counts_are_left_out_where_they_would_cost_too_much(
    api: Api, some: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "FEW", 2)
    viewer = api.token("viewer")
    assert get(api, "/jobs?user=jane", viewer).json["counts"] is None  # type: ignore[index]
    assert get(api, "/jobs?user=joe", viewer).json["counts"] is not None  # type: ignore[index]


def test_jobs_of_other_instances_do_not_exist(api: Api, some: list[str]) -> None:
    own = api.token("operator", instance="other")
    for query in ("", "?user=jane", "?text=toy", "?sort=started", "?format=ndjson"):
        text = get(api, f"/jobs{query}", own).text
        assert some[2] in text
        assert not any(job_id in text for job_id in some if job_id != some[2])
    assert get(api, "/jobs", own).json["counts"]["queued"] == 1  # type: ignore[index]
    assert get(api, "/jobs?user=jane", own).json["counts"]["queued"] == 1  # type: ignore[index]
    foreign = get(api, "/jobs?instance=default&status=queued", own).json
    assert foreign == {"items": [], "next": None, "counts": NONE}


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("?cursor=x", ["/cursor"]),
        ("?cursor=x&format=ndjson", ["/cursor"]),
        ("?limit=0", ["/limit"]),
        ("?limit=501", ["/limit"]),
        ("?sort=colour", ["/sort"]),
        ("?status=queued&status=asleep", ["/status/1"]),
        ("?started_after=yesterday", ["/started_after"]),
        ("?colour=red", ["/colour"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(api: Api, query: str, pointers: list[str]) -> None:
    answer = get(api, f"/jobs{query}", api.token("viewer"))
    assert answer.status_code == 422
    assert at(answer) == pointers


def test_a_cursor_of_another_order_is_refused(api: Api, some: list[str]) -> None:
    viewer = api.token("viewer")
    cursor = get(api, "/jobs?limit=1", viewer).json["next"]  # type: ignore[index]
    assert get(api, f"/jobs?sort=started&cursor={cursor}", viewer).status_code == 422


@pytest.mark.parametrize("how", [{}, {"Accept": "application/x-ndjson"}])
def test_an_export_has_all_jobs_one_a_line(api: Api, some: list[str], how: dict[str, str]) -> None:
    query = "/jobs?limit=1" + ("" if how else "&format=ndjson")
    answer = get(api, query, api.token("viewer"), **how)
    assert answer.mimetype == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == some[::-1]
    page = get(api, "/jobs", api.token("viewer")).json
    assert page is not None
    assert lines == page["items"]


def test_an_export_holds_few_jobs_at_once(
    api: Api, some: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "_EXPORTED", 2)
    asked: list[Any] = []
    page = paging.page

    def counted(*given: Any) -> Any:
        asked.append(given)
        return page(*given)

    monkeypatch.setattr(paging, "page", counted)
    answer = get(api, "/jobs?format=ndjson", api.token("viewer"))
    lines = iter(answer.iter_encoded())
    assert json.loads(next(lines))["id"] == some[4]
    assert len(asked) == 1  # the second page is read once the first was taken
    assert len(list(lines)) == 4
    assert len(asked) == 3
