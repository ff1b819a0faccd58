"""Files on their way in: whole and checksummed, or not at all; never in memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st

from tests.webapp.writing import DOCUMENT, Api, at, form
from webapp.api import submission, uploads
from webapp.api.strict import StrictRequest
from webapp.api.uploads import Received, TooLarge, Unreadable
from webapp.tokens import Forbidden, Identity

BOUNDARY = "xyzzy"


def _request(body: io.RawIOBase | bytes, length: int | None = None, kind: str = "") -> Request:
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    length = len(body) if length is None and isinstance(body, bytes) else length
    return StrictRequest(
        {
            "REQUEST_METHOD": "POST",
            "wsgi.input": stream,
            "wsgi.input_terminated": True,  # as gunicorn says
            "CONTENT_TYPE": kind or f"multipart/form-data; boundary={BOUNDARY}",
            **({} if length is None else {"CONTENT_LENGTH": str(length)}),
        }
    )


def _receive(
    folder: Path,
    request: Request,
    limit: int = 10**9,
    sizes: Mapping[str, int] | None = None,
    look: Callable[[Received], object] = lambda received: received,
) -> object:
    with uploads.receive(
        request, folder, limit=limit, reserve=0, limits=lambda document: sizes or {}
    ) as received:
        return look(received)


_pieces = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [
                b"\r\n",
                b"\n",
                b"\r",
                b"--",
                b"--xyzzy",
                b"\r\n--xyzz",
                b"\n--xyzzy",
                b"\r--xyzzy",
                b"\r\n--",
            ]
        ),
    ),
    max_size=30,
).map(b"".join)


class _Trickle(io.RawIOBase):
    """Gives a body in pieces of odd sizes, as a network does."""

    def __init__(self, body: bytes, size: int) -> None:
        self._body, self._size = io.BytesIO(body), size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._body.read(min(self._size, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


@given(content=_pieces, size=st.integers(1, 97))
def test_a_file_arrives_as_it_was_sent_however_it_is_cut(content: bytes, size: int) -> None:
    while b"\r\n--xyzzy" in b"\r\n" + content:  # that would be the end of it
        content = content.replace(b"\r\n--xyzzy", b"--xyzzy").removeprefix(b"--xyzzy")
    body, _ = form([("request", "{}"), ("a", (io.BytesIO(content), "a.txt"))])

    def look(received: Received) -> None:
        upload = received.files["a"]
        assert upload.path.read_bytes() == content
        assert upload.sha256 == hashlib.sha256(content).hexdigest()
        assert (upload.bytes, upload.name) == (len(content), "a.txt")
        assert received.document == b"{}"

    with tempfile.TemporaryDirectory() as folder:
        _receive(Path(folder), _request(_Trickle(body, size), len(body)), look=look)
        assert list(Path(folder).iterdir()) == []


class _Endless(io.RawIOBase):
    """A form with one file of so many bytes, made as it is read."""

    def __init__(self, size: int) -> None:
        head, _ = form([("request", "{}"), ("a", (io.BytesIO(b""), "a.bin"))])
        self._end = f"\r\n--{BOUNDARY}--\r\n".encode()
        self._head, self._left = io.BytesIO(head.removesuffix(self._end)), size
        self._tail = io.BytesIO(self._end)
        self._block = os.urandom(1 << 16)
        self.length = len(head) + size
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._head.read(len(buffer))
        if not piece and self._left:
            piece = self._block[: min(self._left, len(buffer))]
            self._left -= len(piece)
        piece = piece or self._tail.read(len(buffer))
        buffer[: len(piece)] = piece
        self.given += len(piece)
        return len(piece)


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    body = _Endless(100_000_000)
    tracemalloc.start()
    try:
        _receive(tmp_path, _request(body, body.length), look=lambda r: r.files["a"].bytes)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert body.given == body.length


def test_a_body_that_says_it_is_too_large_is_not_read_at_all(tmp_path: Path) -> None:
    body = _Endless(10_000)
    with pytest.raises(TooLarge, match="at once"):
        _receive(tmp_path, _request(body, body.length), limit=5_000)
    assert body.given == 0
    assert list(tmp_path.iterdir()) == []


def test_a_body_of_unknown_length_is_read_up_to_the_limit(tmp_path: Path) -> None:
    body = _Endless(100_000_000)
    with pytest.raises(TooLarge):
        _receive(tmp_path, _request(body), limit=1_000_000)
    assert body.given < 2_000_000
    assert list(tmp_path.iterdir()) == []


def test_a_file_above_the_size_of_its_input_ends_the_upload(tmp_path: Path) -> None:
    body = _Endless(100_000_000)
    with pytest.raises(TooLarge) as raised:
        _receive(tmp_path, _request(body, body.length), sizes={"a": 1_000_000})
    assert raised.value.problems[0]["pointer"] == "/inputs/a"
    assert body.given < 2_000_000
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_an_input_counts_also_if_the_document_comes_last(tmp_path: Path) -> None:
    body, _ = form([("a", (io.BytesIO(b"12345"), "a.txt")), ("request", "{}")])
    assert _receive(tmp_path, _request(body), sizes={"a": 5})
    with pytest.raises(TooLarge) as raised:
        _receive(tmp_path, _request(body), sizes={"a": 4})
    assert raised.value.problems[0]["pointer"] == "/inputs/a"


def test_a_body_that_ends_too_early_leaves_nothing(tmp_path: Path) -> None:
    body, _ = form([("request", "{}"), ("a", (io.BytesIO(b"x" * 1000), "a.txt"))])
    for length in (len(body), None):  # with Content-Length, and without
        for cut in (10, 100, 500, len(body) - 8):
            with pytest.raises(Unreadable):
                _receive(tmp_path, _request(io.BytesIO(body[:cut]), length))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_form_of_nothing_but_parts_or_headers_is_refused(tmp_path: Path) -> None:
    many, _ = form([(f"n{i}", (io.BytesIO(b""), "a.txt")) for i in range(101)])
    long = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {'x' * 10**6}".encode()
    for body in (many, long):
        with pytest.raises((TooLarge, Unreadable), match="more than"):
            _receive(tmp_path, _request(body))
    assert list(tmp_path.iterdir()) == []


def test_a_document_of_megabytes_is_refused(tmp_path: Path) -> None:
    body, _ = form([("request", " " * 1_000_001)])
    with pytest.raises(TooLarge, match="`request`"):
        _receive(tmp_path, _request(body))


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path: Path) -> None:
    body, _ = form([("request", "{}")])
    for name, age in (("old", 25 * 3600), ("young", 23 * 3600), ("busy", 25 * 3600)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "0.part").write_text("x")
        for path in (folder / "0.part", folder):
            os.utime(path, (time.time() - age,) * 2)
    os.utime(tmp_path / "busy" / "0.part")  # still being written
    _receive(tmp_path, _request(body))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "young"]


def test_parts_that_are_no_input_are_named(api: Api) -> None:
    parts: dict[str, list[tuple[str, object]]] = {
        "/inputs/text": [("text", (io.BytesIO(b"x"), "a.txt"))] * 2,
        "/inputs/more": [("text", (io.BytesIO(b"x"), "a.txt")), ("more", "no file")],
        "/inputs/a\\x00b": [("text", (io.BytesIO(b"x"), "a.txt")), ("a\0b", (io.BytesIO(), "a"))],
        "": [("request", json.dumps(DOCUMENT)), ("text", (io.BytesIO(b"x"), "a.txt"))],
    }
    for pointer, further in parts.items():
        body, kind = form([("request", json.dumps(DOCUMENT)), *further])
        answer = api.client.post("/api/v1/jobs", data=body, content_type=kind, headers=api.token())
        assert (answer.status_code, pointer in at(answer)) == (422, True), (pointer, answer.text)
    assert (api.count(), api.left_behind()) == (0, [])


def test_a_field_that_a_browser_sends_empty_is_none(api: Api) -> None:
    answer = api.submit(api.token(), files={"text": ("a.txt", b"x"), "other": ("", b"")})
    assert answer.status_code == 202


def test_a_file_beyond_the_limit_of_its_input_is_413_with_its_place(api: Api) -> None:
    for order in (list, lambda parts: parts[::-1]):
        answer = api.submit(api.token(), files={"text": ("a.txt", b"x" * 1001)}, order=order)
        assert (answer.status_code, answer.json["code"]) == (413, "too_large")
        assert at(answer) == ["/inputs/text"]
    assert api.submit(api.token(), files={"text": ("a.txt", b"x" * 1000)}).status_code == 202


def test_a_token_without_a_right_to_the_instance_uploads_no_further(api: Api) -> None:
    asker = Identity("0", "jane", "submitter", "default", False, "jane")
    with api.app.app_context():
        with pytest.raises(Forbidden):  # as soon as the document is there
            submission.largest_sizes(api.service, asker, b'{"type": "toy", "instance": "other"}')
        assert submission.largest_sizes(api.service, asker, b'{"type": "toy"}') == {"text": 1000}
        for wrong in (b"{", b"[]", b'{"type": "nothing"}', b'{"type": "toy", "priority": "x"}'):
            assert submission.largest_sizes(api.service, asker, wrong) == {}  # said at the end
