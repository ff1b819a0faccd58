"""What is said about a rule whose processes were refused memory, and how memory is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner import limits
from runner.limits import measure
from runner.limits.measure import Meter

from .limits_helpers import Rule


def _failed(rule: Rule, **note: Any) -> Path:
    """Note down a run without a control group that has failed; give the place of its log."""
    told = {"by": "rlimit", "exit": 1, "over": None, "peak_mb": 90, "started": "", **note}
    (rule.folder / "used.here.1.json").write_text(json.dumps(told))
    return rule.job / "log"


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("MemoryError", True),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3 GiB", True),
        ("sh: fork: Cannot allocate memory", True),
        ("Error: cannot allocate vector of size 2 Gb", True),
        ("terminate called after throwing 'std::bad_alloc'", True),
        ("memory allocation of 8589934592 bytes failed", True),
        ("java.lang.OutOfMemoryError: Java heap space", True),
        ("Out of memory: 12 bytes", True),
        ("torch.OutOfMemoryError: CUDA out of memory.", False),
        ("the memory allocation of the model is described above", False),
        ("ValueError: no", False),
    ],
)
def test_that_memory_was_refused_is_recognised_by_the_words_of_the_log(
    tmp_path: Path, words: str, refused: bool
) -> None:
    rule = Rule(tmp_path, mem_mb=100)
    log = _failed(rule)
    log.write_text(f"began\n{words}\n")
    error = limits.exceeded(rule.attempt, "solve", log)
    assert (error is not None) is refused
    if error is not None:
        assert error["code"] == "out_of_memory"
        assert "was refused memory beyond the 100 MB" in error["message"]
        assert "limit of each process, RLIMIT_DATA" in error["message"]


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("infeasible", "No solution.", None),
        ("no_gpu", "MemoryError on the card.", None),  # it knows better than its words
        ("stage_failed", "KeyError: 'x' (the traceback is in the log)", None),
        ("stage_failed", "MemoryError:  (the traceback is in the log)", "out_of_memory"),
        ("io_error", "Cannot allocate memory.", "out_of_memory"),
    ],
)
def test_an_error_document_of_the_stage_goes_before_words_in_its_log(
    tmp_path: Path, code: str, message: str, expected: str | None
) -> None:
    rule = Rule(tmp_path, mem_mb=100)
    log = _failed(rule)
    log.write_text("std::bad_alloc, so a smaller model is tried\n")
    document = {"code": code, "message": message}
    error = limits.exceeded(rule.attempt, "solve", log, document)
    assert (error and error["code"]) == expected


def test_the_longer_a_look_takes_the_more_seldom_memory_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, looks = [100.0], []

    def look(_: int) -> int:
        looks.append(now[0])
        now[0] += 0.5  # as long as the kernel walks through the pages of a huge process
        return 7

    monkeypatch.setattr(measure.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(measure, "descendants", lambda _: [1])
    monkeypatch.setattr(measure, "_memory", look)
    meter = Meter(None)
    for _ in range(60):
        assert meter.sample() == 7
        now[0] += 1
    assert 5 <= len(looks) <= 7
    assert meter.peak == 7
