"""Opaque tokens: who may use the API, in which role, for which instance.

A token reads ``jr_<id>_<secret>``. Only the hash of its secret is stored: it is shown once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from runner.errors import InvalidRequest, JobRunnerError, NotFound
from runner.files import now, safe_label
from webapp.models import Token

ROLES = ("viewer", "submitter", "operator", "worker", "admin")
_PREFIX = "jr"
_RANK = {"viewer": 0, "submitter": 1, "operator": 2, "admin": 3}
_SECRET_BYTES = 32
USER_NAME = re.compile(r"[\w.@+-]{1,150}")
_NOBODY = hashlib.sha256(b"").hexdigest()


class Unauthorized(JobRunnerError):
    """A request without a token that is valid now."""

    code = "unauthorized"
    status = 401
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="jobrunner"'}


class Forbidden(JobRunnerError):
    """A token that does not give the right asked for."""

    code = "forbidden"
    status = 403


@dataclass(frozen=True)
class Identity:
    """Who asks.

    Attributes
    ----------
    token_id, name : str
        The token, and what it was called when it was made.
    role : str
        One of `ROLES`.
    instance : str or None
        The only instance that it is for; None: all.
    acting : bool
        Whether it may name the user for whom it asks.
    user : str
        Whose request it is: that user, else the token's name.
    """

    token_id: str
    name: str
    role: str
    instance: str | None
    acting: bool
    user: str

    def has_role(self, role: str) -> bool:
        """Tell whether the identity may do what `role` may do.

        A worker may read like a viewer; besides, only an admin may do what a worker may.
        """
        if role == "worker":
            return self.role in ("worker", "admin")
        own = "viewer" if self.role == "worker" else self.role
        return _RANK[own] >= _RANK[role]

    def sees(self, instance: str) -> bool:
        """Tell whether `instance` exists as far as this identity is concerned."""
        return self.instance in (None, instance)

    def on_behalf_of(self, user: str) -> Identity:
        """Give the identity of the user whom a service names.

        Raises
        ------
        Forbidden
            If the token is none of a service that may.
        InvalidRequest
            If that is no user name.
        """
        if not self.acting:
            raise Forbidden(
                "This token may not act for others: leave X-Jobrunner-User out, or use a token "
                "made with --acting."
            )
        return replace(self, user=_checked_name(user, "X-Jobrunner-User"))


def create(
    session: Session,
    *,
    name: str,
    role: str,
    instance: str | None = None,
    acting: bool = False,
    expires: datetime | None = None,
) -> str:
    """Make a token and give its text, which is not stored and cannot be shown again.

    Parameters
    ----------
    session : Session
        A writing session; the token exists once it is committed.
    name : str
        Whose it is; the user under whom its jobs are listed.
    role : str
        One of `ROLES`.
    instance : str, optional
        The only instance that it is for.
    acting : bool
        Whether it may name the user for whom it asks.
    expires : datetime, optional
        When it ends, with a time zone.

    Raises
    ------
    InvalidRequest
        If the name or the role is none, or an admin would be bound to one instance.
    """
    _checked_name(name, "The name")
    if role not in ROLES:
        raise InvalidRequest(f"There is no role {role!r}. There are: {', '.join(ROLES)}.")
    if instance is not None:
        safe_label(instance, "Instance")
        if role == "admin":
            raise InvalidRequest(
                "An admin is one for all instances: leave the instance out, or make an operator."
            )
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(_SECRET_BYTES)
    session.add(
        Token(
            id=identifier,
            hash=_hash(secret),
            name=name,
            role=role,
            instance=instance,
            acting=acting,
            created=now(),
            expires=_as_text(expires) if expires else None,
            revoked=None,
        )
    )
    session.flush()
    return f"{_PREFIX}_{identifier}_{secret}"


def authenticate(session: Session, text: str) -> Identity:
    """Give the identity that a token stands for.

    Raises
    ------
    Unauthorized
        If it is unknown, expired or revoked. Which ids exist is not told; that a token has ended
        is told to those who have its secret.
    """
    identifier, secret = _parts(text)
    token: Token | None = session.get(Token, identifier) if identifier else None
    # compared in any case: how long the answer takes does not tell which ids exist
    if not hmac.compare_digest(_hash(secret), token.hash if token else _NOBODY) or token is None:
        raise Unauthorized("The token is not valid. Ask an administrator for another.")
    if token.revoked:
        raise Unauthorized(f"The token was revoked at {token.revoked}.")
    if token.expires and token.expires <= now():
        raise Unauthorized(f"The token expired at {token.expires}.")
    return Identity(token.id, token.name, token.role, token.instance, token.acting, token.name)


def revoke(session: Session, token_id: str) -> Token:
    """End a token now; one that was ended before stays as it is.

    Raises
    ------
    NotFound
        If there is none of that id.
    """
    token: Token | None = session.get(Token, token_id, with_for_update=True)
    if token is None:
        raise NotFound(f"There is no token {token_id!r}: `jobrunner token list` shows their ids.")
    token.revoked = token.revoked or now()
    session.flush()
    return token


def all(session: Session) -> list[Token]:
    """Give every token, oldest first."""
    return list(session.scalars(select(Token).order_by(Token.created, Token.id)))


def _parts(text: str) -> tuple[str, str]:
    prefix, _, rest = text.partition("_")
    identifier, _, secret = rest.partition("_")
    known = prefix == _PREFIX and re.fullmatch(r"[0-9a-f]{16}", identifier)
    return (identifier if known else ""), secret


def _hash(secret: str) -> str:
    # no salt, no slow hash: the secret is 256 random bits, which nobody guesses
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def _as_text(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _checked_name(name: str, what: str) -> str:
    if not USER_NAME.fullmatch(name):
        raise InvalidRequest(
            f"{what} {name!r} is no user name: letters, digits and . @ + - _ only, at most 150."
        )
    return name
