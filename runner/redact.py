"""No credential in a log, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

_MASK = b"***"


def secrets_of(dsn: str | None) -> tuple[str, ...]:
    """Give what of a platform's address must appear nowhere: the whole, and its password."""
    if not dsn:
        return ()
    password = urlsplit(dsn).password
    if not password:
        return ()
    return tuple(sorted({dsn, password, unquote(password)}, key=len, reverse=True))


def redact_logs(job: Path, secrets: Iterable[str]) -> None:
    """Mask `secrets` in every text that a finished attempt left in a job directory.

    Scripts mask what they print; this is for libraries that write past them.
    """
    masks = [secret.encode() for secret in secrets]
    if not masks:
        return
    for path in [*job.glob("logs/**/*"), *job.glob(".snakemake/log/*"), job / "events.jsonl"]:
        if path.is_file() and any(mask in (text := path.read_bytes()) for mask in masks):
            for mask in masks:
                text = text.replace(mask, _MASK)
            path.write_bytes(text)
