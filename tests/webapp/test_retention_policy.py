"""How long files are kept: what is said where, and which word counts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runner.errors import InvalidConfiguration
from runner.jobtype import JobType
from runner.retention import DEFAULT, KINDS, Retention, seconds
from webapp.instance_file import read
from webapp.retention import Policies
from webapp.service import Service

from .retained import job, publish, write_instance
from .worlds import DATA, make_home, open_service, row


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Service:
    return open_service(make_home(tmp_path / "home").path, database_url)


@pytest.mark.parametrize(
    ("time", "expected"),
    [("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("forever", None)],
)
def test_a_time_is_hours_days_weeks_or_forever(time: str, expected: int | None) -> None:
    assert seconds(time) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("work: 7 days", "retention.work: '7 days' is no time such as 12h, 7d, 2w or forever"),
        ("work: 7", "retention.work: '7' is no time"),
        ("work: 0d", "retention.work: '0d' is no time"),
        ("failed: {logs: -1d}", "retention.failed.logs: '-1d' is no time"),
        ("input: 7d", "unknown key 'input'; there are: work, results, logs, failed"),
        ("failed: {failed: {work: 7d}}", "unknown key 'failed'; there are: work, results, logs$"),
    ],
)
def test_a_wrong_policy_of_a_type_is_refused_when_it_is_loaded(
    tmp_path: Path, text: str, message: str
) -> None:
    folder = tmp_path / "trivial"
    shutil.copytree(DATA / "trivial" / "workflow" / "trivial", folder)
    file = folder / "jobtype.yaml"
    file.write_text(f"{file.read_text()}retention: {{{text}}}\n")
    with pytest.raises(InvalidConfiguration, match=message):
        JobType.load(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("retention: {work: soon}", "/retention/work: 'soon' is no time"),
        ("retention: {junk: 7d}", "/retention: unknown key 'junk'"),
        ("types: {a: {retention: {failed: {work: 7m}}}}", "/types/a/retention/failed/work: '7m'"),
    ],
)
def test_a_wrong_policy_of_an_instance_is_refused_with_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration, match=message):
        read(file)


def test_a_failed_job_is_never_kept_shorter_than_another() -> None:
    policy = Retention.parse({"work": "2w", "results": "forever", "failed": {"work": "1d"}})
    assert policy.time("work", failed=True) == "2w"
    assert policy.time("results", failed=True) == "forever"
    assert Retention.parse({"work": "1d", "failed": {"work": "2w"}}).time("work") == "1d"


def test_of_what_nothing_is_said_it_is_kept_forever() -> None:
    assert [Retention().time(kind, failed=f) for kind in KINDS for f in (0, 1)] == ["forever"] * 6


def test_by_default_only_work_files_go() -> None:
    times = [(DEFAULT.time(kind), DEFAULT.time(kind, failed=True)) for kind in KINDS]
    assert times == [("7d", "30d"), ("forever", "forever"), ("forever", "forever")]


def test_the_more_specific_word_counts_for_each_kind(service: Service, tmp_path: Path) -> None:
    publish(service, "kept-1", "{work: 1d, results: 2d, failed: {work: 9w}}", tmp_path)
    write_instance(
        service,
        "mine",
        "retention: {results: 3d, logs: 4d}\n"
        "types: {trivial: {retention: {logs: 5d, failed: {work: 8w}}}, other: {}}\n",
    )
    found = row(service, job(service, instance="mine", version="kept-1"))
    policy = Policies(service).of("mine", "trivial", found.digest)
    assert [policy.time(kind) for kind in KINDS] == ["1d", "3d", "5d"]
    assert policy.time("work", failed=True) == "8w"


def test_without_the_release_only_what_the_instance_says_counts(service: Service) -> None:
    write_instance(service, "mine", "retention: {logs: 4d}\n")
    policies = Policies(service)
    gone = policies.of("mine", "trivial", "sha256:gone")
    assert [gone.time(kind) for kind in KINDS] == ["forever", "forever", "4d"]
    assert [policies.of("default", "trivial", "").time(kind) for kind in KINDS] == ["forever"] * 3


def test_without_a_readable_file_of_the_instance_all_is_kept(service: Service) -> None:
    digest = row(service, job(service)).digest
    assert Policies(service).of("default", "trivial", digest).time("work") == "7d"
    for name in ("nobody", "wrong"):
        write_instance(service, "wrong", "retention: {work: soon}\n")
        policy = Policies(service).of(name, "trivial", digest)
        assert [policy.time(kind) for kind in KINDS] == ["forever"] * 3


def test_the_shipped_type_has_a_policy_that_can_be_read() -> None:
    root = Path(__file__).resolve().parents[2]
    policy = JobType.load(root / "workflow" / "import_timeseries").retention
    assert policy.time("work") == "7d"
    assert policy.time("work", failed=True) == "30d"
