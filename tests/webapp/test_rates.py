"""Rate limits: who asks too often waits; nobody else notices, with or without Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from werkzeug.test import TestResponse

from runner.errors import InvalidConfiguration
from tests.webapp.running import until
from webapp import redis_server, tokens
from webapp.api import create_app
from webapp.issuers import Issuers
from webapp.rates import limit_of
from webapp.service import Service
from webapp.settings import Settings

JOBS = "/api/v1/jobs"
WRONG = f"jr_{'0' * 16}_wrong"
Make = Callable[..., "Client"]


class Client:
    """One web process, and a token for it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.app = create_app(service)
        self.token = self.new_token()

    def new_token(self, name: str = "jane") -> str:
        with self.service.db.write() as session:
            return tokens.create(session, name=name, role="viewer")

    def get(
        self, token: str | None = None, path: str = JOBS, address: str = "192.0.2.1", **headers: str
    ) -> TestResponse:
        given = {"Authorization": f"Bearer {token or self.token}", **headers}
        if token == "":
            del given["Authorization"]
        origin = {"REMOTE_ADDR": address}
        return self.app.test_client().get(path, headers=given, environ_overrides=origin)

    def statuses(self, number: int, *given: Any, **options: Any) -> list[int]:
        return [self.get(*given, **options).status_code for _ in range(number)]


@pytest.fixture
def make(service_home: Path, new_database_url: Callable[[str, bool], str]) -> Iterator[Make]:
    """Start web processes over one home and database."""
    url, services = new_database_url("sqlite", True), []

    def start(redis: str | None = None, **settings: Any) -> Client:
        redis = redis or f"unix://{service_home / 'no-redis.sock'}"
        service = Service.open(
            Settings(home=service_home, database_url=url, redis_url=redis, **settings)
        )
        services.append(service)
        return Client(service)

    yield start
    for service in services:
        service.db.engine.dispose()


@pytest.fixture(params=["redis", "memory"])
def redis(request: pytest.FixtureRequest) -> str | None:
    """The address of a Redis, or of none: then each process counts for itself."""
    found: str | None = None
    if request.param == "redis":
        found = request.getfixturevalue("redis_url")
    return found


def test_one_request_too_many_of_a_token_is_told_to_wait(make: Make, redis: str | None) -> None:
    client = make(redis, rate_limit="3/hour")
    for left in (2, 1, 0):
        answer = client.get()
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"token";q=3;w=3600'
        assert answer.headers["RateLimit"] == f'"token";r={left}'
    answer = client.get()
    assert (answer.status_code, answer.mimetype) == (429, "application/problem+json")
    assert answer.json["code"] == "too_many_requests"  # type: ignore[index]
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.headers["RateLimit"] == f'"token";r=0;t={answer.headers["Retry-After"]}'
    assert client.get(client.new_token("joe")).status_code == 200


def test_after_the_time_that_is_said_a_token_may_ask_again(make: Make, redis: str | None) -> None:
    client = make(redis, rate_limit="2/second")
    assert 429 in client.statuses(6)
    answer = until(lambda: (a := client.get()).status_code == 429 and a, "too many", 5)
    began, wait = time.monotonic(), int(answer.headers["Retry-After"])
    until(lambda: client.get().status_code == 200, "may ask again", 5)
    assert time.monotonic() - began < wait + 1.5


def test_all_web_processes_count_together(make: Make, redis_url: str) -> None:
    one, other = make(redis_url, rate_limit="4/hour"), make(redis_url, rate_limit="4/hour")
    other.token = one.token
    found = [client.get().status_code for client in (one, other) * 3]
    assert found == [200] * 4 + [429] * 2


def test_at_once_no_more_pass_than_the_limit_says(make: Make, redis: str | None) -> None:
    client = make(redis, rate_limit="20/hour")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.get().status_code, range(60)))
    assert sorted(found) == [200] * 20 + [429] * 40


def test_an_address_with_too_many_wrong_tokens_is_refused_unseen(
    make: Make, redis: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(redis, auth_rate_limit="3/hour")
    assert client.statuses(4, WRONG) == [401] * 3 + [429]

    def never(*_: object) -> None:
        raise AssertionError("a token was looked at")

    with monkeypatch.context() as patch:
        patch.setattr(tokens, "authenticate", never)
        patch.setattr(Issuers, "authenticate", never)
        for token in (WRONG, client.token, "a.b.c"):
            answer = client.get(token)
            assert (answer.status_code, answer.mimetype) == (429, "application/problem+json")
            assert 3500 < int(answer.headers["Retry-After"]) <= 3600
            assert answer.headers["RateLimit-Policy"] == '"authentication";q=3;w=3600'
    assert client.get(address="192.0.2.2").status_code == 200
    assert client.get("a.b.c", address="192.0.2.2").status_code == 401


def test_jwts_and_own_tokens_that_are_wrong_count_together(make: Make) -> None:
    client = make(auth_rate_limit="4/hour")
    assert [client.get(t).status_code for t in (WRONG, "a.b.c", "x", "a.b.c", "x")] == [
        *[401] * 4,
        429,
    ]


def test_right_tokens_and_no_token_are_no_failures(make: Make) -> None:
    client = make(auth_rate_limit="2/hour")
    assert client.statuses(5, "") == [401] * 5
    assert client.statuses(5) == [200] * 5
    acting = client.get(**{"X-Jobrunner-User": "joe"})
    assert acting.status_code == 403
    assert client.statuses(2) == [200] * 2


def test_health_is_answered_to_everybody_at_any_time(make: Make) -> None:
    client = make(rate_limit="1/hour", auth_rate_limit="1/hour")
    client.statuses(3, WRONG)
    for path in ("/healthz", "/api/v1/healthz", "/readyz", "/api/openapi.json"):
        assert client.statuses(5, "", path=path) == [200] * 5
        assert client.get(WRONG, path).status_code == 200


def test_of_ipv6_a_whole_network_is_one_client(make: Make) -> None:
    client = make(auth_rate_limit="2/hour")
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"):
        assert client.get(WRONG, address=address).status_code == 401
    assert client.get(WRONG, address="2001:db8:1:2::9").status_code == 429
    assert client.get(WRONG, address="2001:db8:1:3::9").status_code == 401
    assert client.statuses(2, WRONG, address="192.0.2.9") == [401] * 2
    assert client.get(WRONG, address="::ffff:192.0.2.9").status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counts_as"),
    [
        (0, "198.51.100.1", "192.0.2.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.9, 198.51.100.1", "198.51.100.1"),
        (2, "203.0.113.9, 198.51.100.1, 192.0.2.50", "198.51.100.1"),
    ],
)
def test_the_address_of_a_client_is_what_trusted_proxies_say(
    make: Make, proxies: int, forwarded: str, counts_as: str
) -> None:
    client = make(auth_rate_limit="1/hour", trusted_proxies=proxies)
    assert client.get(WRONG, **{"X-Forwarded-For": forwarded}).status_code == 401
    direct = make(auth_rate_limit="1/hour")
    direct.service.rates._own = client.service.rates._own
    assert direct.get(WRONG, address=counts_as).status_code == 429
    assert direct.get(WRONG, address="203.0.113.77").status_code == 401


def test_limits_hold_and_nothing_fails_while_redis_goes_and_comes_back(
    make: Make, redis_url: str, service_home: Path
) -> None:
    client = make(redis_url, rate_limit="5/hour")
    assert client.statuses(3) == [200] * 3
    connection = Redis.from_url(redis_url)
    pid = int(connection.info("server")["process_id"])  # type: ignore[index]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert client.statuses(6) == [200] * 5 + [429]  # counted from the beginning, by this process
    new = redis_server.start(service_home)
    try:
        again = Redis.from_url(redis_url)

        def counted() -> bool:
            client.get(client.new_token())
            return bool(again.keys("jobrunner:rate:*"))

        until(counted, "Redis counts again", 10)
    finally:
        os.kill(new, signal.SIGKILL)
        os.waitpid(new, 0)


def test_a_redis_that_hangs_delays_one_request_in_a_while_and_not_each(
    make: Make, redis_url: str
) -> None:
    client = make(redis_url)
    assert client.get().status_code == 200
    server = psutil.Process(int(Redis.from_url(redis_url).info("server")["process_id"]))  # type: ignore[index]
    server.suspend()
    try:
        took = []
        for _ in range(10):
            began = time.monotonic()
            assert client.get().status_code == 200
            took.append(time.monotonic() - began)
    finally:
        server.resume()
    assert max(took) < 1.5
    delayed = [seconds for seconds in took if seconds >= 0.35]
    assert len(delayed) <= 5  # nobody tries again for a second


def test_a_redis_that_lets_nobody_count_does_no_harm(make: Make, redis_url: str) -> None:
    Redis.from_url(redis_url).execute_command(
        "ACL", "SETUSER", "default", "-eval", "-evalsha", "-script", "-get"
    )
    client = make(redis_url, rate_limit="2/hour")
    assert client.statuses(3) == [200, 200, 429]


@pytest.mark.parametrize("text", ["", "many", "0/minute", "-1/minute", "5", "5/fortnight", "1/0 s"])
def test_what_is_no_limit_is_refused_by_name(text: str) -> None:
    for name in ("rate_limit", "auth_rate_limit"):
        with pytest.raises(InvalidConfiguration) as raised:
            Service.open(Settings(**{name: text}))  # type: ignore[arg-type]
        assert f"JOBRUNNER_{name.upper()} is {text!r}" in raised.value.message
        assert "such as 30/minute" in raised.value.message


def test_a_server_with_a_wrong_limit_does_not_start(service_home: Path) -> None:
    environment = {**os.environ, "JOBRUNNER_HOME": str(service_home)}
    environment["JOBRUNNER_RATE_LIMIT"] = "plenty"
    done = subprocess.run(
        [sys.executable, "-m", "runner", "web", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "JOBRUNNER_RATE_LIMIT is 'plenty'" in done.stderr
    assert "Traceback" not in done.stderr


def test_limits_may_be_switched_off(make: Make) -> None:
    assert limit_of(" Off ", "x") is None
    client = make(rate_limit="off", auth_rate_limit="off")
    assert client.statuses(40, WRONG) == [401] * 40
    assert "RateLimit" not in client.get().headers


def test_all_clients_of_a_socket_file_have_one_count(make: Make) -> None:
    client = make(auth_rate_limit="1/hour")
    assert client.statuses(2, WRONG, address="") == [401, 429]
