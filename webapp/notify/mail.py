"""Mails: text and HTML from what a delivery holds; whatever a job wrote is only text in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Any
from urllib.parse import quote

from webapp.models import Delivery

_ENDED = {"succeeded": "has succeeded", "failed": "has failed", "cancelled": "was cancelled"}
_COLOURS = {"succeeded": "#1a7f37", "failed": "#b42318", "cancelled": "#57606a"}
_LONGEST_SUBJECT = 150
_LONGEST_MESSAGE = 4000
_PROBLEMS = 10
_WHERE = ("file", "sheet", "row", "column", "pointer")
_CELL = "padding:2px 16px 2px 0;vertical-align:top;text-align:left"


class Page:
    """A text and the same as HTML, grown together: nothing reaches the HTML unescaped."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.html: list[str] = []

    def line(self, text: str, style: str = "") -> None:
        """Add a paragraph."""
        self.text += [text, ""]
        kept = escape(text).replace("\n", "<br>\n")
        self.html.append(f'<p style="{style}">{kept}</p>')

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Add a small table with a title."""
        width = max((len(label) for label, _ in rows), default=0)
        self.text += [title, *(f"  {label:<{width}}  {value}" for label, value in rows), ""]
        cells = "".join(
            f'<tr><th style="{_CELL};font-weight:normal;color:#57606a">{escape(label)}</th>'
            f'<td style="{_CELL}">{escape(value)}</td></tr>'
            for label, value in rows
        )
        self.html.append(f"<p><b>{escape(title)}</b></p><table>{cells}</table>")

    def points(self, title: str, lines: list[str]) -> None:
        """Add a list with a title."""
        self.text += [title, *(f"  - {line}" for line in lines), ""]
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        self.html.append(f"<p><b>{escape(title)}</b></p><ul>{items}</ul>")

    def link(self, address: str) -> None:
        """Add a link."""
        self.text += [address, ""]
        self.html.append(f'<p><a href="{escape(address)}">{escape(address)}</a></p>')


def compose(
    delivery: Delivery, sender: str, link: str | None, titles: Mapping[str, str]
) -> EmailMessage:
    """Write the mail of a delivery; the same each time it is tried.

    Parameters
    ----------
    delivery : Delivery
        What is told.
    sender : str
        Who it comes from: an address, or ``Name <address>``.
    link : str or None
        Address of a page about a job, with ``{id}`` for its id.
    titles : mapping of str to str
        Titles of the job type (under an empty name) and of its stages.
    """
    data, page = delivery.data, Page()
    if "job" in data:
        subject = _job(page, data, link, titles)
    else:
        subject = str(data["subject"])
        page.line(str(data["message"]))
    message = EmailMessage()
    message["Subject"] = _one_line(subject)
    message["From"] = _sender(sender)
    message["To"] = ", ".join(data["to"])
    message["Date"] = format_datetime(datetime.fromisoformat(data["time"]))
    message["Message-ID"] = f"<{delivery.key}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday answers it
    message.set_content(_sendable(page.text), cte="quoted-printable")
    body = _sendable(page.html)
    message.add_alternative(
        f'<html><body style="font-family:sans-serif;color:#1f2328">\n{body}\n</body></html>\n',
        subtype="html",
        cte="quoted-printable",
    )
    return message


def _job(page: Page, data: dict[str, Any], link: str | None, titles: Mapping[str, str]) -> str:
    job = data["job"]
    title, status = titles.get("", job["type"]), job["status"]
    ended = _ENDED[status]
    if status == "cancelled" and data.get("by"):
        ended += f" by {data['by']}"
    page.line(f"{title}: job {job['id']} {ended}.", f"font-size:18px;color:{_COLOURS[status]}")
    if data["headline"]:
        page.table("What was done", [(label, value) for label, value in data["headline"]])
    if error := job["error"]:
        _error(page, error, titles)
    if parts := data.get("sub_jobs"):
        page.table("Sub-jobs", [(part["title"], _part(part)) for part in parts])
    if data["stages"]:
        rows = [(titles.get(s["stage"], s["stage"]), _took(s)) for s in data["stages"]]
        page.table("Stages", rows)
    facts = [
        ("Instance", job["instance"]),
        ("Submitted", f"{_when(job['submitted'])} by {job['user']}"),
    ]
    if job["tags"]:
        facts.append(("Tags", ", ".join(job["tags"])))
    page.table("The job", [*facts, ("Version", job["version"]), ("Ended", _when(job["finished"]))])
    if link:
        page.link(link.replace("{id}", quote(job["id"], safe="")))
    return f"{title} {job['id']}: {status}"


def _error(page: Page, error: Mapping[str, Any], titles: Mapping[str, str]) -> None:
    stage = error.get("stage")
    where = f" in {titles.get(stage, stage)}" if stage else ""
    page.line(f"What went wrong{where} ({error['code']})", "font-weight:bold")
    page.line(str(error["message"])[:_LONGEST_MESSAGE], "font-family:monospace")
    problems = error.get("problems") or []
    if problems:
        lines = [_problem(problem) for problem in problems[:_PROBLEMS]]
        left = len(problems) - len(lines) + int(error.get("more_problems", 0))
        page.points("The first problems", [*lines, f"… and {left} more"] if left else lines)


def _problem(problem: Mapping[str, Any]) -> str:
    where = ", ".join(f"{name} {problem[name]}" for name in _WHERE if problem.get(name) is not None)
    said = str(problem.get("message", ""))[:_LONGEST_MESSAGE]
    return f"{where}: {said}" if where else said


def _part(part: Mapping[str, Any]) -> str:
    return f"{part['status']}: {part['line']}" if part["line"] else str(part["status"])


def _took(stage: Mapping[str, Any]) -> str:
    seconds = stage["seconds"]
    return f"{stage['status']}" + ("" if seconds is None else f", {_duration(seconds)}")


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _sender(sender: str) -> Address:
    name, address = parseaddr(sender)
    return Address(name, addr_spec=address)


def _sendable(lines: list[str]) -> str:
    """Put lines together; half a character, which a job may have written, becomes a ``?``."""
    return "\n".join(lines).encode("utf-8", "replace").decode("utf-8")


def _one_line(text: str) -> str:
    """Give a text that can be a header: no line of its own making."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(kept.split())[:_LONGEST_SUBJECT]


def _when(time: str | None) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC" if time else ""
