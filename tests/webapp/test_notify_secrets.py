"""Secrets of destinations: no row, log, message or attempt has one, and no stranger gets one."""

from __future__ import annotations

import json
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runner import reference
from runner.errors import InvalidConfiguration
from runner.home import Home
from runner.prepared import base_environment
from tests.webapp.notices import SECRET, deliveries, end, submit
from tests.webapp.notifying import Make, make_services, send  # noqa: F401
from tests.webapp.receivers import Hooks, Mailbox, hooks, mailbox  # noqa: F401
from webapp.instance_file import read as read_instance
from webapp.notify import masks, smtp, webhook


def test_secrets_are_base64_after_their_prefix_or_any_other_text() -> None:
    assert webhook.key_of("whsec_YWJj") == b"abc"
    assert webhook.key_of("plain words") == b"plain words"
    for wrong in ("whsec_", "whsec_!!!"):
        with pytest.raises(InvalidConfiguration) as error:
            webhook.key_of(wrong)
        assert "!!!" not in error.value.message


class _Nosy(Mailbox):
    """Says to everybody what it was told."""

    seen: tuple[Any, ...] = ()

    def check(self, server: SMTP, session: Session, envelope: Envelope, how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        self.seen += (data.password.decode(),)
        if how == "PLAIN" and data.password != b"canary-p@ss":
            return AuthResult(success=False, message=f"535 not {data.password.decode()}")
        return AuthResult(success=True)

    async def handle_RCPT(self, *given: Any) -> str:
        return f"550 {given[3]}: your password is {self.seen[-1]}"


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_no_secret_is_in_rows_or_logs_whatever_others_say(
    make: Make,
    hooks: Hooks,  # noqa: F811
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG, "webapp")
    nosy = _Nosy()
    nosy.options = {
        "authenticator": nosy.check, "auth_required": True, "auth_require_tls": False,
    }  # fmt: skip
    nosy.start()
    url = f"http://127.0.0.1:{hooks.port}/canary-path?key=canary-key"
    monkeypatch.setenv("HOOK_URL", url)
    address = f"smtp://runner:canary-p%40ss@127.0.0.1:{nosy.port}"
    service = make("env:HOOK_URL", mail=address)
    end(service, submit(service))
    hooks.answers = [500]
    send(service)
    hooks.stop()
    end(service, submit(service))
    send(service)
    nosy.stop()
    assert set(nosy.seen) == {"canary-p@ss"}
    rows = json.dumps([[row.history, row.data, row.recipients] for row in deliveries(service)])
    assert "your password is ***" in rows
    for secret in ("canary", "canary-p%40ss", SECRET, SECRET[6:]):
        assert secret not in rows
        assert secret not in caplog.text


def test_secrets_are_masked_in_all_forms_in_which_they_travel() -> None:
    mask = masks.Masks([*masks.of_address("smtp://u:p%40ss-word@host"), "whsec_YWJjZGVm"])
    assert mask("p%40ss-word p@ss-word") == "*** ***"
    assert mask("AUTH PLAIN AHUAcEBzcy13b3Jk\r\nnext") == "AUTH PLAIN *** next"
    assert mask("YWJjZGVm") == "***"


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.mark.parametrize("trusted", [True, False])
def test_a_password_is_sent_over_starttls_and_to_nobody_who_cannot_prove_who_they_are(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    certificate, key = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    seen = []

    def check(*given: Any) -> AuthResult:
        seen.append(given[-1].password)
        return AuthResult(success=True)

    box = Mailbox()
    box.options = {
        "tls_context": context, "authenticator": check, "auth_required": True,
        "require_starttls": True,
    }  # fmt: skip
    box.start()
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    service = make(mail=f"smtp://runner:p4ss@localhost:{box.port}")
    end(service, submit(service))
    send(service)
    box.stop()
    assert (seen, len(box.accepted)) == (([b"p4ss"], 1) if trusted else ([], 0))
    if not trusted:
        assert "certificate" in deliveries(service)[0].history[0]["detail"]


def test_a_password_is_not_sent_in_the_clear(
    make: Make,
    mailbox: Mailbox,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smtp, "_is_here", lambda host: False)
    service = make(mail=f"smtp://runner:p4ss@127.0.0.1:{mailbox.port}")
    end(service, submit(service))
    send(service)
    assert mailbox.accepted == []
    assert "offers no encryption" in deliveries(service)[0].history[0]["detail"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("mail: {server: 'smtp://u:canary@h'}", "/mail/server"),
        ("mail: smtp://u:canary@h", "/mail"),
        ("mail: {password: canary}", "/mail"),
        ("webhooks: [{name: a, url: 'https://u:canary@h', secret: 'env:A'}]", "/webhooks/0/url"),
        ("webhooks: [{name: a, url: 'https://h', secret: whsec_canary}]", "/webhooks/0/secret"),
        ("webhooks: [{name: email, url: 'https://h', secret: 'env:A'}]", "/webhooks/0/name"),
        ("webhooks: [whsec_canary]", "/webhooks/0"),
    ],
)
def test_a_mistake_in_a_file_is_told_without_the_secret_in_it(
    tmp_path: Path, text: str, place: str
) -> None:
    path = tmp_path / "project.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration) as error:
        read_instance(path)
    assert f"{place}: " in error.value.message
    assert "canary" not in error.value.message


def test_two_webhooks_cannot_have_the_same_name(tmp_path: Path) -> None:
    one = "{name: a, url: 'https://h', secret: 'env:A'}"
    (tmp_path / "project.yaml").write_text(f"webhooks: [{one}, {one}]")
    with pytest.raises(InvalidConfiguration, match="Two webhooks are called 'a'"):
        read_instance(tmp_path / "project.yaml")


def test_an_attempt_gets_no_credential_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    files = {
        "instances/a.yaml": "mail: {server: env:A_MAIL}\nwebhooks: [{secret: 'env:A_HOOK'}]",
        "profiles/b.yaml": "platform:\n  dsn: env:A_DSN  # not env:A_COMMENT",
        "issuers/c.yaml": 'key: "env:A_KEY"',
        "instances/broken.yaml": "mail: [env:A_BROKEN",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    secret = ["A_MAIL", "A_HOOK", "A_DSN", "A_KEY", "A_BROKEN", "A_OTHER", "JOBRUNNER_TOKEN"]
    secret += ["JOBRUNNER_DATABASE_URL", "JOBRUNNER_REDIS_URL"]
    for name in [*secret, "A_HARMLESS"]:
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("JOBRUNNER_MAIL", "env:A_OTHER")
    passed_on = base_environment(Home(tmp_path))
    assert [name for name, value in passed_on.items() if value == "canary"] == ["A_HARMLESS"]
    assert "JOBRUNNER_MAIL" not in passed_on


def test_a_reference_that_leads_nowhere_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.delenv("NOT_SET", raising=False)
    for given in ("env:NOT_SET", f"file:{tmp_path}/none", f"file:{tmp_path}/empty"):
        with pytest.raises(InvalidConfiguration, match=given.partition(":")[2]):
            reference.read(given, "It is taken from")
