"""Server-sent events, as the service writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One message of a stream."""

    event: str
    data: str
    id: str | None = None


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """Give the messages of a stream; one that breaks off in the middle is left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield Message(fields.get("event", "message"), fields["data"], fields.get("id"))
            fields = {}
        elif not line.startswith(":"):  # a comment says only that the service is still there
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            several = name == "data" and name in fields
            fields[name] = f"{fields[name]}\n{value}" if several else value
