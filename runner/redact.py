"""No credential in a log, whoever wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from runner.profile import DSN_VARIABLE, PUBLISH_VARIABLE

_SECRET = re.compile(r"(?i)pass|secret|token|sas|connection_string|(^|_)key$")
_PIECE = 2**20  # bytes that are read at once, of a log that may be of any size


def secrets_of(dsn: str | None) -> tuple[str, ...]:
    """Give what of a platform's address must appear nowhere: the whole, and its password."""
    if not dsn:
        return ()
    password = urlsplit(dsn).password
    if not password:
        return ()
    return tuple(sorted({dsn, password, unquote(password)}, key=len, reverse=True))


def secrets_in(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Give what must appear nowhere of the variables that `Profile.credentials` gives."""
    found = [*secrets_of(variables.get(DSN_VARIABLE)), variables.get(PUBLISH_VARIABLE, "")]
    with suppress(ValueError):  # the stage that uses them says that they are wrong
        found += _words(json.loads(found[-1] or "{}"))
    return tuple(sorted({word for word in found if len(word) > 3}, key=len, reverse=True))


def _words(options: object, name: str = "") -> Iterator[str]:
    """Give the texts among options whose names say that they are secret."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            yield from _words(value, str(key))
    elif isinstance(options, str) and _SECRET.search(name):
        yield options


def mask(text: bytes, secrets: Iterable[str]) -> bytes:
    """Put stars over `secrets`, as many as they have bytes: places in the text stay the same."""
    for secret in map(str.encode, secrets):
        text = text.replace(secret, b"*" * len(secret))
    return text


def redact_logs(job: Path, secrets: Iterable[str]) -> None:
    """Mask `secrets` in every text that a finished attempt left in a job directory.

    Scripts mask what they print; this is for libraries that write past them.
    """
    masks = tuple(secret.encode() for secret in secrets)
    if not masks:
        return
    kinds = ("logs/**/*", "sub_jobs/*/logs/**/*", ".snakemake/log/*", "events.jsonl")
    for path in (found for kind in (*kinds, "sub_jobs/*/events.jsonl") for found in job.glob(kind)):
        if path.is_file() and (places := list(_places(path, masks))):
            with path.open("r+b") as stream:  # only stars: somebody may append meanwhile
                for start, length in places:
                    stream.seek(start)
                    stream.write(b"*" * length)


def _places(path: Path, secrets: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Give where secrets stand in a file of any size, and how long they are."""
    margin = max(map(len, secrets)) - 1
    start = 0
    with path.open("rb") as stream:
        while text := stream.read(_PIECE + margin):
            for secret in secrets:
                for match in re.finditer(re.escape(secret), text):
                    yield start + match.start(), len(secret)
            start += _PIECE
            stream.seek(start)


class MaskedFile:
    """A file that is still being written, read with stars over what must appear nowhere.

    Parameters
    ----------
    path : Path
        The file.
    secrets : iterable of str
        What is masked, wherever a read begins or ends.
    """

    def __init__(self, path: Path, secrets: Iterable[str]) -> None:
        self._stream: BinaryIO = path.open("rb")
        self._secrets = tuple(secrets)
        self._margin = max((len(secret.encode()) for secret in self._secrets), default=1) - 1
        self._position = 0
        self.name = str(path)

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes."""
        before = min(self._margin, self._position)
        self._stream.seek(self._position - before)
        around = self._stream.read(before + size + self._margin)
        piece = mask(around, self._secrets)[before : before + size]
        self._position += len(piece)
        return piece

    def seek(self, position: int) -> int:
        """Go to a byte."""
        self._position = position
        return position

    def tell(self) -> int:
        """Give the number of the next byte."""
        return self._position

    def fileno(self) -> int:
        """Give the file's descriptor."""
        return self._stream.fileno()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> MaskedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
