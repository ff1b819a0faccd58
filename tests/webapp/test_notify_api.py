"""Notices over the API: who is to be told, what became of it, and who may see that."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from tests.webapp.writing import Api, at
from webapp.models import Delivery


@pytest.fixture
def told(api: Api) -> str:
    """Id of a job of *jane*'s about whose end two mails were to be sent; one was refused."""
    api.instance("default", "profile: plain\nmail: {server: 'env:NOWHERE'}\n")
    job_id = api.job(notify=["jane@example.org"])
    api.end(job_id, "failed")
    history = [{"time": "2026-11-22T14:00:00.000Z", "outcome": "refused", "detail": "<jane@…> no"}]
    _change(api, job_id, state="given_up", history=history, tries=1)
    return job_id


def _change(api: Api, job_id: str, **columns: Any) -> None:
    with api.service.db.write() as session:
        row = session.scalars(select(Delivery).where(Delivery.job_id == job_id)).one()
        for name, value in columns.items():
            setattr(row, name, value)


def _of_job(api: Api, job_id: str, headers: dict[str, str], query: str = "") -> Any:
    answer = api.client.get(f"/api/v1/jobs/{job_id}/deliveries{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.mark.parametrize(
    "address",
    [
        "jane",
        "jane@",
        "@example.org",
        "a b@example.org",
        "a@b@c",
        "jane@example.org\r\nBcc: x@y.z",
        "jane@example.org, joe@example.org",
        "<jane@example.org>",
        "j\N{LATIN SMALL LETTER O WITH DIAERESIS}rg@example.org",
        "jane@-example.org",
        ".jane@example.org",
        "x" * 65 + "@example.org",
        "jane@example.org\n",
    ],
)
def test_what_is_no_address_is_pointed_at(api: Api, address: str) -> None:
    wanted = {"type": "toy", "notify": ["joe@example.org", address]}
    answer = api.submit(api.token(), wanted)
    assert (answer.status_code, at(answer)) == (422, ["/notify/1"])
    assert "e-mail address" in answer.json["problems"][0]["message"]  # type: ignore[index]


@pytest.mark.parametrize("address", ["o'neil+x@sub.example.org", "root@localhost", "a_b@c-d.e"])
def test_what_is_an_address_is_taken(api: Api, address: str) -> None:
    assert api.submit(api.token(), {"type": "toy", "notify": [address]}).status_code == 202


def test_an_end_that_there_is_not_is_pointed_at(api: Api) -> None:
    answer = api.submit(api.token(), {"type": "toy", "notify_on": ["failed", "paused"]})
    assert (answer.status_code, at(answer)) == (422, ["/notify_on/1"])


@pytest.mark.parametrize("query", ["", "?plan=true"])
def test_without_a_mail_server_who_names_addresses_is_warned(api: Api, query: str) -> None:
    wanted = {"type": "toy", "notify": ["jane@example.org"]}
    warned = api.submit(api.token(), wanted, query=query).json["warnings"]  # type: ignore[index]
    assert any("no mail server" in text for text in warned)
    api.instance("default", "profile: plain\nmail: {server: 'env:NOWHERE'}\n")
    assert api.submit(api.token(), wanted, query=query).json["warnings"] == []  # type: ignore[index]


def test_who_is_told_is_kept_with_the_job(api: Api) -> None:
    job_id = api.job(notify=["jane@example.org"], notify_on=["cancelled"])
    queue = api.service.directory(api.row(job_id)).config["queue"]
    assert (queue["notify"], queue["notify_on"]) == (["jane@example.org"], ["cancelled"])


def test_a_key_stands_for_the_same_ends(api: Api) -> None:
    headers = {**api.token(), "Idempotency-Key": "k"}
    first = api.submit(headers, {"type": "toy"})
    same = api.submit(headers, {"type": "toy", "notify_on": ["failed", "succeeded"]})
    other = api.submit(headers, {"type": "toy", "notify_on": ["failed"]})
    assert (first.status_code, same.status_code, other.status_code) == (202, 202, 409)


def test_addresses_are_shown_to_the_jobs_user_and_to_operators_only(api: Api, told: str) -> None:
    for headers in (api.token(), api.token("operator", "olga"), api.token("admin", "root")):
        (item,) = _of_job(api, told, headers)["items"]
        assert item["recipients"] == ["jane@example.org"]
        assert item["history"][0]["detail"] == "<jane@…> no"
    for headers in (api.token("viewer", "victor"), api.token("submitter", "john")):
        shown = _of_job(api, told, headers)
        (item,) = shown["items"]
        assert (item["recipients"], item["history"][0]["detail"]) == (None, None)
        assert (item["state"], item["event"], item["tries"]) == ("given_up", "job.failed", 1)
        assert "jane@" not in str(shown)


def test_operators_see_what_was_given_up_in_their_instance(api: Api, told: str) -> None:
    def ids(headers: dict[str, str], query: str = "") -> list[str]:
        answer = api.client.get(f"/api/v1/deliveries{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [item["job_id"] for item in answer.json["items"]]  # type: ignore[index]

    olga = api.token("operator", "olga", instance="default")
    assert ids(olga) == ids(olga, "?state=given_up") == [told]
    assert ids(olga, "?state=waiting") == []
    assert ids(api.token("operator", "oscar", instance="other")) == []
    assert ids(api.token("operator", "omar")) == [told]


def test_an_operator_has_it_tried_again(api: Api, told: str) -> None:
    olga = api.token("operator", "olga", instance="default")
    (item,) = _of_job(api, told, olga)["items"]
    place = f"/api/v1/deliveries/{item['id']}/retry"
    answer = api.client.post(place, headers=olga)
    assert answer.status_code == 200, answer.text
    shown = answer.json
    assert shown is not None
    assert (shown["state"], shown["finished"]) == ("waiting", None)
    assert shown["history"][-1]["detail"] == "asked for by olga"
    assert shown["expires"] > item["expires"]
    _change(api, told, state="delivered")
    answer = api.client.post(place, headers=olga)
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")  # type: ignore[index]
    for number in (4711, 2**31, 2**70):
        answer = api.client.post(f"/api/v1/deliveries/{number}/retry", headers=olga)
        assert answer.status_code == 404


def test_pages_of_notices_have_each_once(api: Api, told: str) -> None:
    with api.service.db.write() as session:
        row = session.scalars(select(Delivery)).one()
        columns = {c.name: getattr(row, c.name) for c in Delivery.__table__.columns}
        for number in range(4):
            session.add(Delivery(**{**columns, "id": None, "key": f"more-{number}"}))
    headers, seen, query = api.token(), [], "?limit=2"
    while True:
        page = _of_job(api, told, headers, query)
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=2&before={page['next']}"
    assert len(seen) == 5
    assert seen == sorted(set(seen), reverse=True)
