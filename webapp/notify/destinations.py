"""Where a notice goes: mail server or receiver, with the credentials that it takes."""

from __future__ import annotations

import time
from typing import Protocol

from runner import reference
from runner.errors import InvalidConfiguration
from webapp.catalogue import Catalogue
from webapp.instances import Instance
from webapp.models import Delivery
from webapp.notify import mail, masks, webhook
from webapp.notify.outcome import Outcome, open_recipients
from webapp.notify.smtp import MailServer
from webapp.notify.store import Name
from webapp.service import Service

SOURCE = "urn:ixmp:jobrunner"  # of a service that does not know its address


class Destination(Protocol):
    """What takes deliveries, one after the other."""

    def send(self, delivery: Delivery) -> Outcome:
        """Try to deliver."""

    def close(self) -> None:
        """Let go of connections."""


def connect(service: Service, catalogue: Catalogue, name: Name) -> Destination:
    """Give a destination as it is configured now; nothing is sent yet.

    Raises
    ------
    InvalidConfiguration
        If it cannot be worked with as it is.
    """
    instance = service.instances.all().get(name.instance) if name.instance else None
    if name.instance and instance is None:
        raise InvalidConfiguration(f"There is no instance {name.instance!r}, or its file is wrong.")
    if name.kind == "email":
        return _Mails(service, catalogue, instance)
    return _webhook(service, catalogue, instance, name.target)


class _Mails:
    def __init__(self, service: Service, catalogue: Catalogue, instance: Instance | None) -> None:
        own, settings = instance.mail if instance else None, service.settings
        address = (own and own.server) or settings.mail
        if not address:
            raise InvalidConfiguration("There is no mail server (JOBRUNNER_MAIL, or mail.server).")
        if reference.is_reference(address):
            address = reference.read(address, "The address of the mail server is taken from")
        self._mask = masks.Masks(masks.of_address(address))
        self._server = MailServer(address, self._mask)
        self._sender = (own and own.sender) or settings.mail_from
        base = settings.public_url
        link = f"{base.rstrip('/')}/api/v1/jobs/{{id}}" if base else None
        self._link = (own and own.link) or link
        self._catalogue = catalogue

    def send(self, delivery: Delivery) -> Outcome:
        titles = _titles(self._catalogue, delivery)
        message = mail.compose(delivery, self._sender, self._link, titles)
        to = message["From"].addresses[0].addr_spec
        return self._server.send(message, to, open_recipients(delivery))

    def close(self) -> None:
        self._server.close()


class _Webhook:
    def __init__(
        self, receiver: webhook.Receiver, name: str, source: str, catalogue: Catalogue
    ) -> None:
        self._receiver, self._name, self._source = receiver, name, source
        self._catalogue = catalogue

    def send(self, delivery: Delivery) -> Outcome:
        title = _titles(self._catalogue, delivery).get("")
        body = webhook.cloud_event(delivery, self._source, title)
        return self._receiver.send(self._name, delivery.key, body, int(time.time()))

    def close(self) -> None:
        self._receiver.close()


class _Gone:
    """A webhook that was taken out of the file of its instance."""

    def __init__(self, name: str) -> None:
        self._name = name

    def send(self, delivery: Delivery) -> Outcome:
        text = f"There is no webhook {self._name!r} any more."
        return Outcome(text, refused={self._name: text})

    def close(self) -> None:
        pass


def _webhook(
    service: Service, catalogue: Catalogue, instance: Instance | None, name: str
) -> Destination:
    hook = next((h for h in (instance.webhooks if instance else ()) if h.name == name), None)
    if hook is None:
        return _Gone(name)
    url = hook.url
    if reference.is_reference(url):
        url = reference.read(url, f"The address of webhook {name} is taken from")
    secret = reference.read(hook.secret, f"The secret of webhook {name} is taken from")
    receiver = webhook.Receiver(url, secret, masks.Masks([secret, *masks.of_url(url)]))
    return _Webhook(receiver, name, service.settings.public_url or SOURCE, catalogue)


def _titles(catalogue: Catalogue, delivery: Delivery) -> dict[str, str]:
    """Give the title of the job type, under an empty name, and those of its stages."""
    job = delivery.data.get("job")
    if not job:
        return {}
    for version in catalogue.versions().get(job["type"], []):
        if version.release.label == job["version"]:
            found = version.job_type
            return {"": found.title, **{stage.name: stage.title for stage in found.stages}}
    return {}
