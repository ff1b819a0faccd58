"""Tokens of others: JSON Web Tokens (RFC 7519) of issuers that an operator trusts.

One file for each: ``<home>/config/issuers/NAME.yaml``; docs/tokens.md has examples. Nothing in a
token decides how it is verified: algorithms and keys are those of the file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from jwt.exceptions import (
    DecodeError,
    ExpiredSignatureError,
    ImmatureSignatureError,
    InvalidAlgorithmError,
    InvalidKeyError,
    MissingRequiredClaimError,
    PyJWTError,
)

from runner.errors import InvalidConfiguration, JobRunnerError
from webapp.config_files import ConfigFiles
from webapp.issuers import keys
from webapp.issuers.claims import identity
from webapp.issuers.file import Issuer, read
from webapp.tokens import Identity, Unauthorized

__all__ = ["Issuer", "IssuerUnavailable", "Issuers", "is_jwt"]

_LONGEST = 8192  # characters
_NOT_VALID = "The token is not valid. Ask an administrator for another."
_log = logging.getLogger(__name__)


class IssuerUnavailable(JobRunnerError):
    """Tokens of an issuer cannot be verified: its key is not there."""

    code = "issuer_unavailable"
    status = 503


def is_jwt(text: str) -> bool:
    """Tell a JSON Web Token from a token of our own."""
    return text.count(".") == 2


class Issuers:
    """All issuers, read again whenever a file has changed.

    Parameters
    ----------
    home : Path
        The files are in ``<home>/config/issuers/``; none is there at first.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._files = ConfigFiles([home / "config" / "issuers"], read)

    def all(self) -> dict[str, Issuer]:
        """Give all issuers by name."""
        return self._files.all()

    @property
    def problems(self) -> list[str]:
        """What is wrong with which file or key; no secret is in it."""
        found = list(self._files.wrong.values())
        for issuer in self.all().values():
            try:
                keys.check(issuer, self._home)
            except InvalidConfiguration as error:
                found.append(error.message)
        return found

    def authenticate(self, text: str) -> Identity:
        """Give the identity that a JSON Web Token stands for.

        Raises
        ------
        Unauthorized
            If no issuer that is trusted has signed it, or it does not hold now. What is wrong is
            told only where the signature is right.
        IssuerUnavailable
            If the key of its issuer is not there.
        """
        header, claims = _unverified(text)
        refusals = []
        for issuer in self._named(header, claims):
            try:
                return identity(issuer, self._verified(issuer, header, text))
            except Unauthorized as error:
                reason = error.__cause__ or error.message
                _log.info("a token of issuer %s is refused: %s", issuer.name, reason)
                refusals.append(error)
        if not refusals:
            _log.info("a token is refused: no issuer is trusted for its iss, aud and alg")
        told = [refusal for refusal in refusals if refusal.message != _NOT_VALID]
        raise (told or refusals or [Unauthorized(_NOT_VALID)])[0]

    def _named(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> list[Issuer]:
        """Give the issuers whose token it may be, going by what it says itself."""
        audience = _audience(claims)
        return [
            issuer
            for _, issuer in sorted(self.all().items())
            if issuer.issuer == claims.get("iss")
            and header.get("alg") in issuer.algorithms
            and (bool(audience & set(issuer.audience)) if issuer.audience else not audience)
        ]

    def _verified(self, issuer: Issuer, header: Mapping[str, Any], text: str) -> dict[str, Any]:
        try:
            key = keys.find(issuer, self._home, header)
        except InvalidConfiguration as error:
            _log.error("%s", error.message)
            raise IssuerUnavailable(
                "Tokens of this issuer cannot be verified now; the log of the service says why."
            ) from None
        if key is None:
            raise Unauthorized(_NOT_VALID) from InvalidKeyError("no key fits its alg and kid")
        return _decoded(issuer, key, text)


def _unverified(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give header and claims as the token says them: only to choose an issuer."""
    try:
        if len(text) > _LONGEST:
            raise DecodeError("too long")
        parts = jwt.decode_complete(text, options={"verify_signature": False})
    except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        _log.info("a token is refused: it cannot be read (%s)", type(error).__name__)
        raise Unauthorized(_NOT_VALID) from None
    header, claims = parts["header"], parts["payload"]
    if not isinstance(header.get("alg"), str) or "crit" in header:  # no extension is understood
        _log.info("a token is refused: it has no alg, or a crit")
        raise Unauthorized(_NOT_VALID)
    return header, claims


def _audience(claims: Mapping[str, Any]) -> set[str]:
    given = claims.get("aud")
    values: Sequence[Any] = given if isinstance(given, list) else [given]
    return {value for value in values if isinstance(value, str)}


def _decoded(issuer: Issuer, key: Any, text: str) -> dict[str, Any]:
    """Give the claims, once the signature and the times are right."""
    try:
        return jwt.decode(
            text,
            key,
            algorithms=list(issuer.algorithms),
            issuer=issuer.issuer,
            audience=list(issuer.audience) or None,
            leeway=issuer.leeway,
            # who it is, webapp.issuers.claims looks at; `sub` is a number in some tokens
            options={
                "require": ["exp", *issuer.required],
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (DecodeError, InvalidAlgorithmError, InvalidKeyError) as error:  # the signature is wrong
        raise Unauthorized(_NOT_VALID) from error
    except ExpiredSignatureError:
        raise Unauthorized("The token has expired. Get a new one from its issuer.") from None
    except ImmatureSignatureError:
        raise Unauthorized("The token is not valid yet: are the clocks right?") from None
    except MissingRequiredClaimError as error:
        raise Unauthorized(f"The token has no claim {error.claim}.") from None
    except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unauthorized(_NOT_VALID) from error
