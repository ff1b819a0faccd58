"""Who asks, as the claims of a verified token and the file of its issuer say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import InvalidRequest
from runner.files import safe_label
from webapp.issuers.file import Issuer, as_text
from webapp.tokens import USER_NAME, Identity, Unauthorized

_ROLES = ("operator", "submitter", "viewer")  # the highest first


def identity(issuer: Issuer, claims: Mapping[str, Any]) -> Identity:
    """Give the identity that a token stands for.

    Parameters
    ----------
    issuer : Issuer
        Who has signed it.
    claims : mapping
        Its claims, verified.

    Raises
    ------
    Unauthorized
        If they do not say who it is, or nothing that gives a right here.
    """
    if issuer.token_types and claims.get("token_type") not in issuer.token_types:
        raise Unauthorized(
            f"The token is of another kind: its token_type must be {_or(issuer.token_types)}."
        )
    user = claim(claims, issuer.user)
    if isinstance(user, int) and not isinstance(user, bool):
        user = str(user)
    if not isinstance(user, str) or not USER_NAME.fullmatch(user):
        raise Unauthorized(f"The token names no user who can be one here (claim {issuer.user}).")
    return Identity(
        token_id=f"jwt:{issuer.name}:{user}",
        name=user,
        role=_role(issuer, claims),
        instance=_instance(issuer, claims),
        acting=False,
        user=user,
    )


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """Give a claim, or None; dots lead into objects where no claim has the whole name.

    Examples
    --------
    >>> claim({"user": {"username": "jane"}}, "user.username")
    'jane'
    """
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _role(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """Give the highest role that the values of the claim give, else the default."""
    given = claim(claims, issuer.role_claim) if issuer.role_claim else None
    values = given if isinstance(given, list) else [given]
    found = {issuer.roles.get(as_text(value)) for value in values if _is_simple(value)}
    for role in _ROLES:
        if role in found:
            return role
    if issuer.role is None:
        raise Unauthorized(f"The token gives no role here (claim {issuer.role_claim}).")
    return issuer.role


def _instance(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    if issuer.instance_claim is None:
        assert issuer.instance is not None  # one of the two is required
        return issuer.instance
    value = claim(claims, issuer.instance_claim)
    named = as_text(value) if _is_simple(value) else ""
    if issuer.instances is not None:
        named = issuer.instances.get(named, "")
    try:
        return safe_label(named, "Instance")
    except InvalidRequest:
        raise Unauthorized(
            f"The token is for no instance of this service (claim {issuer.instance_claim})."
        ) from None


def _is_simple(value: object) -> bool:
    return isinstance(value, str | int)


def _or(values: tuple[str, ...]) -> str:
    return " or ".join(values)
