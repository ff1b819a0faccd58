"""References to secrets: all of them are known, however a file is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.reference import variables_in


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("webhooks: [{name: a, url: env:A_URL, secret: env:A_SECRET}]", {"A_URL", "A_SECRET"}),
        ("hook: {url: 'https://h/x#y', secret: env:A_SECRET}", {"A_SECRET"}),
        ("mail: env:A_MAIL  # was env:OLD\n# secret: env:OLDER", {"A_MAIL"}),
    ],
)
def test_each_variable_of_a_line_counts(tmp_path: Path, text: str, expected: set[str]) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    assert variables_in([tmp_path]) == expected
