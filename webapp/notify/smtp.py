"""A mail server, spoken to for several mails over one connection."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from runner.errors import InvalidConfiguration
from webapp.notify.outcome import Outcome

_PATIENCE = 20.0  # seconds for each answer of the server
_PORTS = {"smtps": 465, "smtp": 25}
_WITH_LOGIN = 587
_TAKEN = (250, 251)
_CLOSING = 421
_LATER = (552,)  # said to a recipient it means: enough for now (RFC 5321, 4.5.3.1.10)
_LOGIN_WANTED = 530


class _Closing(Exception):
    """The server ends the connection."""


@dataclass
class _Said:
    """What a server said of the recipients of a mail."""

    taken: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)

    def note(self, recipient: str, code: int, text: str) -> None:
        """Take down an answer."""
        if code in _TAKEN:
            self.taken.append(recipient)
        elif code < 500 or code in _LATER:
            self.later[recipient] = text
        else:
            self.refused[recipient] = text


class MailServer:
    """A server that takes mails.

    Parameters
    ----------
    address : str
        ``smtp://USER:PASSWORD@HOST:PORT`` or ``smtps://…``.
    mask : callable
        Takes secrets out of what the server says.

    Raises
    ------
    InvalidConfiguration
        If that is no such address; it is not shown.
    """

    def __init__(self, address: str, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._smtp: smtplib.SMTP | None = None
        try:
            parts = urlsplit(address)
            self._scheme, self._host, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            self._scheme, self._host, port = "", "", None
        if self._scheme not in _PORTS or not self._host:
            raise InvalidConfiguration(
                "The address of the mail server must be smtp://USER:PASSWORD@HOST:PORT or "
                "smtps://…, with special characters of the password as %XX."
            )
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._port = port or (
            _WITH_LOGIN if self._user and self._scheme == "smtp" else _PORTS[self._scheme]
        )

    def send(self, message: EmailMessage, sender: str, recipients: Sequence[str]) -> Outcome:
        """Hand a mail over; when this returns, nothing more was said to the server since its yes.

        Parameters
        ----------
        message : EmailMessage
            The mail.
        sender : str
            Address that the server is told.
        recipients : sequence of str
            Those who get it now.
        """
        try:
            return self._hand_over(self._connected(), message, sender, recipients)
        except _Closing as error:
            self._drop()
            return Outcome(self._mask(f"The mail server closes: {error}"), away=True)
        except (OSError, smtplib.SMTPException, ssl.SSLError) as error:
            self._drop()
            return Outcome(self._mask(f"The mail server: {_told(error)}"), away=True)

    def close(self) -> None:
        """Say goodbye, if a connection is open."""
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._smtp.quit()
        self._drop()

    def _drop(self) -> None:
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                if self._smtp.noop()[0] == 250:
                    return self._smtp
            self._drop()
        name = socket.gethostname()
        own = name if "." in name else "[127.0.0.1]"
        if self._scheme == "smtps":
            trust = ssl.create_default_context()
            self._smtp = smtplib.SMTP_SSL(
                self._host, self._port, own, timeout=_PATIENCE, context=trust
            )
        else:
            self._smtp = smtplib.SMTP(self._host, self._port, own, timeout=_PATIENCE)
        self._greet(self._smtp)
        return self._smtp

    def _greet(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        encrypted = self._scheme == "smtps"
        if not encrypted and smtp.has_extn("starttls"):
            smtp.starttls(context=self._trust())
            smtp.ehlo()
            encrypted = True
        if not self._user:
            return
        if not encrypted and not _is_here(self._host):
            raise smtplib.SMTPException(
                f"{self._host} offers no encryption (STARTTLS): the password is not sent"
            )
        try:
            smtp.login(self._user, self._password)
        except UnicodeError:
            message = "user and password of a mail server can only have ASCII characters"
            raise smtplib.SMTPException(message) from None

    def _trust(self) -> ssl.SSLContext:
        """Give whom to believe: for a password the right server, else anybody rather than none."""
        context = ssl.create_default_context()
        if not self._user:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _hand_over(
        self, smtp: smtplib.SMTP, message: EmailMessage, sender: str, recipients: Sequence[str]
    ) -> Outcome:
        code, text = _open(smtp.mail(sender))
        if code not in _TAKEN:
            self._reset(smtp)
            return Outcome(self._mask(f"The sender is refused: {code} {text}"), away=True)
        said = _Said()
        for recipient in recipients:
            code, text = _open(smtp.rcpt(recipient))
            if code == _LOGIN_WANTED:
                self._reset(smtp)
                return Outcome(self._mask(f"It wants a login: {code} {text}"), away=True)
            said.note(recipient, code, f"{code} {text}")
        if said.taken:
            self._content(smtp, message, said)
        else:
            self._reset(smtp)
        return self._outcome(said)

    def _content(self, smtp: smtplib.SMTP, message: EmailMessage, said: _Said) -> None:
        """Send the mail itself; what is said to it holds for all who were to be taken."""
        policy = SMTP_POLICY.clone(cte_type="7bit")
        try:
            code, text = _open(smtp.data(message.as_bytes(policy=policy)))
        except smtplib.SMTPDataError as error:
            code, text = _open((error.smtp_code, error.smtp_error))
        if code == 250:
            return
        to, said.taken = said.taken, []
        for recipient in to:
            said.note(recipient, code, f"{code} {text}")
        self._reset(smtp)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        with suppress(OSError, smtplib.SMTPException):
            smtp.rset()

    def _outcome(self, said: _Said) -> Outcome:
        parts = [f"accepted for {len(said.taken)}"] if said.taken else []
        parts += [f"{to}: {text}" for to, text in {**said.refused, **said.later}.items()]
        refused = {to: self._mask(text) for to, text in said.refused.items()}
        return Outcome(self._mask("; ".join(parts)), tuple(said.taken), refused)


def _open(answer: tuple[int, bytes | str]) -> tuple[int, str]:
    """Read an answer.

    Raises
    ------
    _Closing
        If the server ends the connection with it.
    """
    code, text = answer
    said = _text(text)
    if code == _CLOSING:
        raise _Closing(f"{code} {said}")
    return code, said


def _told(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_text(error.smtp_error)}"
    return str(error) or type(error).__name__


def _text(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
