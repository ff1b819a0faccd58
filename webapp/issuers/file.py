"""One issuer of tokens, as its file says; config/README.md explains each key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import InvalidConfiguration
from runner.files import safe_label
from webapp.config_files import read_checked

SCHEMA = "issuer.schema.yaml"
_LEEWAY = 10.0  # seconds by which clocks may differ


@dataclass(frozen=True)
class Issuer:
    """Somebody whose tokens are believed.

    Attributes
    ----------
    issuer : str
        The claim ``iss`` of its tokens.
    algorithms : tuple of str
        Signatures that it uses: either HMAC or such with a public key, never both.
    key : str or None
        Reference to the secret or public key: ``env:NAME`` or ``file:PATH``.
    jwks : str or None
        File with public keys, relative to the home; there is either this or `key`.
    audience : tuple of str
        Its tokens must be for one of these; if empty, they name no audience.
    leeway : float
        Seconds by which clocks may differ.
    user, role_claim, instance_claim : str
        Claims that say who asks; dots lead into objects.
    role : str or None
        Role where no claim gives another; None: such a token is refused.
    instance : str or None
        The instance of all its tokens; None: `instance_claim` names it.
    instances : mapping or None
        Our instance for each value of `instance_claim`; None: it has the same name.
    required : tuple of str
        Claims that must be there, besides ``exp``.
    token_types : tuple of str
        Values that ``token_type`` may have; if empty, it is not looked at.
    """

    name: str
    issuer: str
    algorithms: tuple[str, ...]
    key: str | None
    jwks: str | None
    audience: tuple[str, ...]
    leeway: float
    user: str
    role_claim: str | None
    role: str | None
    roles: Mapping[str, str]
    instance: str | None
    instance_claim: str | None
    instances: Mapping[str, str] | None
    required: tuple[str, ...]
    token_types: tuple[str, ...]

    @property
    def uses_hmac(self) -> bool:
        """Whether its tokens are signed with a shared secret."""
        return self.algorithms[0].startswith("HS")


def read(path: Path) -> Issuer:
    """Read the file of one issuer; whether its key is there is not looked at.

    Raises
    ------
    InvalidConfiguration
        Naming the file and the place in it; what may be a secret is not quoted.
    UnsafePath
        If the file's name cannot be the name of an issuer.
    """
    safe_label(path.stem, "Issuer")
    text = read_checked(path, SCHEMA)
    claims = text.get("claims", {})
    if wrong := _contradictions(text, claims):
        raise InvalidConfiguration("\n".join([f"{path} is wrong:", *(f"  {w}" for w in wrong)]))
    return Issuer(
        name=path.stem,
        issuer=text["issuer"],
        algorithms=tuple(text["algorithms"]),
        key=text.get("key"),
        jwks=text.get("jwks"),
        audience=_texts(text, "audience"),
        leeway=text.get("leeway", _LEEWAY),
        user=claims.get("user", "sub"),
        role_claim=claims.get("role"),
        role=text.get("role"),
        roles={as_text(value): role for value, role in text.get("roles", {}).items()},
        instance=text.get("instance"),
        instance_claim=claims.get("instance"),
        instances=_mapping(text.get("instances")),
        required=_texts(text, "required"),
        token_types=_texts(text, "token_type"),
    )


def as_text(value: object) -> str:
    """Give a value of a claim, or a key of a mapping in YAML, as the text that they share."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _contradictions(text: Mapping[str, Any], claims: Mapping[str, Any]) -> list[str]:
    """Say what no schema can say well."""
    found = []
    hmac = [name for name in text["algorithms"] if name.startswith("HS")]
    if hmac and len(hmac) < len(text["algorithms"]):
        found.append(
            "/algorithms: HMAC (HS…) and signatures with a public key must not be mixed: whoever "
            "knows the public key could sign tokens. Write a file for each."
        )
    if ("key" in text) == ("jwks" in text):
        found.append("/: one of key and jwks is needed, and not both.")
    if hmac and "jwks" in text:
        found.append("/jwks: it is for public keys; for HMAC give key.")
    if ("instance" in text) == ("instance" in claims):
        found.append("/: one of instance and claims.instance is needed, and not both.")
    if "instances" in text and "instance" not in claims:
        found.append("/instances: it says what claims.instance means, which is missing.")
    if "role" not in text and not text.get("roles"):
        found.append("/: role, or claims.role with roles, is needed.")
    if ("role" in claims) != ("roles" in text):
        found.append("/roles: claims.role and roles belong together.")
    return found


def _texts(text: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = text.get(key, [])
    return (value,) if isinstance(value, str) else tuple(value)


def _mapping(given: Mapping[Any, str] | None) -> dict[str, str] | None:
    return None if given is None else {as_text(value): name for value, name in given.items()}
