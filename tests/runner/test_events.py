from __future__ import annotations

import json
import multiprocessing
import threading
from pathlib import Path

import pytest

from runner.events import EventLog


def _write_many(path: Path, count: int) -> None:
    log = EventLog(path)
    for _ in range(count):
        log.append("note", source="test", message="x" * 200)


def test_events_of_many_processes_are_numbered_without_gaps(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_many, args=(path, 100)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [event["n"] for event in EventLog(path).read()] == list(range(1, 401))


def test_a_line_that_a_crash_cut_off_is_neither_read_nor_continued(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("note", source="test", message="whole")
    with log.path.open("a") as stream:
        stream.write('{"n": 2, "kind": "no')
    assert [event["n"] for event in log.read()] == [1]
    log.append("note", source="test", message="next")
    lines = log.path.read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == [1, 2]


def test_following_gives_every_event_once_and_ends(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    done = threading.Event()

    def write() -> None:
        for number in range(50):
            log.append("note", source="test", number=number)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = [event["number"] for event in log.follow(ended=done.is_set, interval=0.001)]
    writer.join()
    assert seen == list(range(50))


def test_half_a_character_keeps_no_event_back(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append("note", source="test", message="half \ud83d of one")
    assert [event["message"] for event in log.read()] == ["half ? of one"]


def test_reading_since_a_number_gives_only_what_came_after(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for _ in range(3):
        log.append("note", source="test")
    assert [event["n"] for event in log.read(since=2)] == [3]


def test_an_event_that_does_not_fit_on_the_disk_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    log = EventLog(tmp_path / "events.jsonl")
    log.append("note", source="test")
    before = log.path.read_bytes()
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
        with pytest.raises(OSError, match="No space"):
            log.append("note", source="test")
    assert log.path.read_bytes() == before
