"""Flat JSON objects of one line per key; the ``json`` module would cost each rule 10 ms."""

from __future__ import annotations

Value = str | float | bool | None
_WORDS: dict[str, Value] = {"null": None, "true": True, "false": False}


def read(path: str) -> dict[str, Value]:
    """Read what ``json.dumps(…, indent=0)`` or `text` wrote of a flat object.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is something else.
    """
    found: dict[str, Value] = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream.read().splitlines():
            key, separator, value = line.strip().rstrip(",").partition(": ")
            if separator:
                found[key.strip('"')] = _value(value)
    return found


def text(given: dict[str, Value]) -> str:
    """Write a flat object, one key a line."""
    return "{\n" + ",\n".join(f'"{key}": {_text(value)}' for key, value in given.items()) + "\n}\n"


def _value(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if not text.startswith('"'):
        return float(text)
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    units = inner.encode("ascii", "backslashreplace").decode("unicode_escape")
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _text(value: Value) -> str:
    for word, meant in _WORDS.items():
        if value is meant:
            return word
    if not isinstance(value, str):
        return f"{value:.12g}"
    if value.isprintable() and value.isascii() and not set(value) & {'"', "\\"}:
        return f'"{value}"'
    units = value.encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return '"' + "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs) + '"'
