"""Reports as HTML pages: one style for all, and no text is taken for HTML. Needs jinja2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

STYLE = Path(__file__).resolve().parents[1] / "report.css"


def templates(
    folder: Path, styles: Sequence[Path] = (), **filters: Callable[..., Any]
) -> Environment:
    """Give the templates of a folder; in each of them ``style`` is the style of all reports.

    Parameters
    ----------
    folder : Path
        Where they lie.
    styles : sequence of Path
        Style sheets that only these reports have.
    **filters
        Functions for the templates.
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,  # every name comes from a submitted file
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    text = "\n".join(path.read_text(encoding="utf-8") for path in (STYLE, *styles))
    environment.globals["style"] = Markup(text)  # noqa: S704 - our own files
    return environment
