"""No credential in a log, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit


def secrets_of(dsn: str | None) -> tuple[str, ...]:
    """Give what of a platform's address must appear nowhere: the whole, and its password."""
    if not dsn:
        return ()
    password = urlsplit(dsn).password
    if not password:
        return ()
    return tuple(sorted({dsn, password, unquote(password)}, key=len, reverse=True))


def mask(text: bytes, secrets: Iterable[str]) -> bytes:
    """Put stars over `secrets`, as many as they have bytes: places in the text stay the same."""
    for secret in map(str.encode, secrets):
        text = text.replace(secret, b"*" * len(secret))
    return text


def redact_logs(job: Path, secrets: Iterable[str]) -> None:
    """Mask `secrets` in every text that a finished attempt left in a job directory.

    Scripts mask what they print; this is for libraries that write past them.
    """
    masks = tuple(secrets)
    if not masks:
        return
    for path in [*job.glob("logs/**/*"), *job.glob(".snakemake/log/*"), job / "events.jsonl"]:
        if path.is_file():
            text = path.read_bytes()
            if (masked := mask(text, masks)) != text:
                path.write_bytes(masked)


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
