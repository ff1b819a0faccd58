"""No secret of a destination in what is said of it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_SHORTEST = 3  # characters; less would mask half of every text


class Masks:
    """What must appear in no row, history, log or answer.

    Parameters
    ----------
    secrets : iterable of str
        As they are configured; other forms in which they travel are masked, too.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted((f for f in forms if len(f) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Give a text without them, in one line."""
        for form in self._forms:
            text = text.replace(form, "***")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def of_address(address: str) -> list[str]:
    """Give what of an address with credentials in it is secret: they, and all of it."""
    parts = urlsplit(address)
    found = [address]
    if parts.password:
        login = f"\0{unquote(parts.username or '')}\0{unquote(parts.password)}"
        found += [parts.password, login]
    return found


def of_url(url: str) -> list[str]:
    """Give what of a webhook's address may be secret: all but the host."""
    parts = urlsplit(url)
    beyond = url.partition("://")[2].removeprefix(parts.netloc)
    return [url, *([beyond] if len(beyond) > 1 else [])]


def _forms(secret: str) -> set[str]:
    plain = {secret, unquote(secret), secret.removeprefix("whsec_")}
    encoded = {base64.b64encode(text.encode()).decode().rstrip("=") for text in plain}
    return plain | encoded
