"""Who asks, and what may they see and do."""

from __future__ import annotations

from typing import cast

from flask import current_app, g, request

from runner.errors import NotFound
from webapp import jobs, tokens
from webapp.issuers import is_jwt
from webapp.models import Job
from webapp.service import Service
from webapp.tokens import Forbidden, Identity, Unauthorized

USER_HEADER = "X-Jobrunner-User"


def service() -> Service:
    """Give the service that this application belongs to."""
    return cast(Service, current_app.extensions["jobrunner"])


def identity() -> Identity:
    """Give who asks: the token's owner, or the user for whom a service asks.

    Raises
    ------
    Unauthorized
        Without a valid token.
    Forbidden
        If the token may not act for others and names somebody.
    TooManyRequests
        If it is one request too many of this token, or if too many wrong tokens came from there.
    """
    if "identity" not in g:
        given = request.authorization
        if given is None or given.type != "bearer" or not given.token:
            raise Unauthorized("This needs a token: send the header `Authorization: Bearer …`.")
        found = _authenticated(given.token)
        g.standing = service().rates.count_request(found.token_id)
        if (user := request.headers.get(USER_HEADER)) is not None:
            found = found.on_behalf_of(_utf8(user))
        g.identity = found
    return cast(Identity, g.identity)


def _authenticated(token: str) -> Identity:
    """Give whose token it is: one of our own, or one that an issuer has signed."""
    rates = service().rates
    rates.refuse_guessers(request.remote_addr)
    try:
        if is_jwt(token):
            return service().issuers.authenticate(token)
        with service().db.read() as session:
            return tokens.authenticate(session, token)
    except Unauthorized:
        rates.count_failure(request.remote_addr)
        raise


def require(role: str, instance: str | None = None) -> Identity:
    """Give who asks, if they may do what `role` may do.

    Parameters
    ----------
    role : str
        One of ``tokens.ROLES``; a higher one will do.
    instance : str, optional
        The instance that it is about.

    Raises
    ------
    Unauthorized
        Without a valid token.
    NotFound
        Without a right to the instance: then it does not exist.
    Forbidden
        Without the role.
    """
    found = identity()
    if instance is not None and not found.sees(instance):
        raise NotFound(f"There is no instance {instance!r}. Ask an operator for its name.")
    if not found.has_role(role):
        raise Forbidden(f"This needs the role {role}; the token has the role {found.role}.")
    return found


def visible_instances() -> list[str] | None:
    """Give the instances whose jobs the asker may see; None: all."""
    own = identity().instance
    return None if own is None else [own]


def readable(job_id: str) -> Job:
    """Give a job that the asker may see, whether its files are there or not.

    Raises
    ------
    NotFound
        If there is none, or it is one of another instance: the answers are the same.
    """
    asker = require("viewer")
    with service().db.read() as session:
        job = jobs.get(session, job_id)
    if not asker.sees(job.instance):
        raise NotFound(f"There is no job {job_id}.")  # as jobs.get says it
    return job


def changeable(job_id: str) -> Job:
    """Give a job that the asker may change: a submitter their own, an operator any.

    Raises
    ------
    NotFound
        As `readable`.
    Forbidden
        If it is somebody else's.
    """
    job = readable(job_id)
    asker = require("submitter")
    if job.user != asker.user and not asker.has_role("operator"):
        raise Forbidden(
            f"Job {job.id} is not one of {asker.user}. Only an operator may change the jobs of "
            "others."
        )
    return job


def _utf8(header: str) -> str:
    """Read a header as UTF-8; WSGI gives its bytes as Latin-1."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header
