"""Numbers and times as people read them."""

from __future__ import annotations

MINUS = "\u2212"


def amount(value: float | int | None) -> str:
    """Write a number to six digits, with thousands separators."""
    if value is None:
        return "\u2013"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        text = f"{int(value):,}"
    elif 1e-4 <= abs(value) < 1e15:
        digits = max(0, 6 - len(str(int(abs(value)))))
        text = f"{value:,.{digits}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        text = f"{value:.4g}"
    return text.replace("-", MINUS)


def duration(seconds: float) -> str:
    """Write a time."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds >= 0.01 else "less than 0.01 s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
