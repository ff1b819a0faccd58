"""The client itself."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast
from urllib.parse import quote

import httpx

from webapp.client import fetch, following, upload
from webapp.client.connection import Connection
from webapp.client.models import Artifact, Event, Job, JobType, Page, Plan, build

_ACCEPT = 600.0  # seconds: what a submission may take, once all is sent


class Client:
    """The service, as a program sees it.

    Parameters
    ----------
    server : str
        Its address, such as ``https://jobs.example.org``.
    token : str, optional
        An opaque token of the service, or one of an issuer that it trusts.
    user : str, optional
        For whom to ask; only with a token that may act for others.
    timeout : float
        Seconds of silence after which an answer counts as lost.
    patience : float
        Seconds for which a request is tried again, where that is safe: when the service cannot be
        reached or is busy. 0: each is sent once.
    on_away : callable, optional
        Told in a few words, before each further try, what is the matter.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        user: str | None = None,
        timeout: float = 60.0,
        patience: float = 60.0,
        on_away: Callable[[str], None] | None = None,
    ) -> None:
        self._connection = Connection(
            server, token, user=user, timeout=timeout, patience=patience, on_away=on_away
        )

    def __enter__(self) -> Self:
        """Give it; the block ends with `close`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close what is open."""
        self._connection.close()

    @property
    def server(self) -> str:
        """The address, in one way of writing it."""
        return self._connection.server

    @property
    def patience(self) -> float:
        """Seconds for which requests are tried again; it may be changed."""
        return self._connection.patience

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._connection.patience = seconds

    def submit(
        self,
        type: str,
        inputs: Mapping[str, str | Path] | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        instance: str | None = None,
        version: str | None = None,
        profile: str | None = None,
        priority: int | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        resources: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        **further: Any,
    ) -> Job:
        """Submit a job; it may be sent again without becoming two.

        Parameters
        ----------
        type : str
            The job type.
        inputs : mapping, optional
            Files by the name of their input.
        params, instance, version, profile, priority, tags, notify, resources
            As docs/api.md says.
        idempotency_key : str, optional
            Name of this request; by default one that is made for this call.
        progress : callable, optional
            Called with the bytes that are sent, and those of all files.
        **further
            Further fields of the request.

        Raises
        ------
        ApiError
            If the service refuses; `problems` say what is wrong.
        """
        named = {"instance": instance, "version": version, "profile": profile}
        several = {"params": params, "tags": tags, "notify": notify, "resources": resources}
        document = _document(type, {**named, "priority": priority}, several, further)
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(24)}
        with upload.form(document, inputs or {}, progress) as body:
            answer = self._connection.ask(
                "POST", "/jobs", safe=True, headers=headers, timeout=_patient(), **body
            )
        return Job.of(answer)

    def plan(
        self,
        type: str,
        inputs: Mapping[str, str | Path] | None = None,
        params: Mapping[str, Any] | None = None,
        *,
        instance: str | None = None,
        version: str | None = None,
        profile: str | None = None,
        resources: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Plan:
        """Tell what would run; nothing is queued. As `submit`."""
        named = {"instance": instance, "version": version, "profile": profile}
        document = _document(type, named, {"params": params, "resources": resources}, {})
        query = {"plan": "true"}
        with upload.form(document, inputs or {}, progress) as body:
            answer = self._connection.ask(
                "POST", "/jobs", safe=True, params=query, timeout=_patient(), **body
            )
        return Plan.of(answer)

    def type(
        self, name: str, *, instance: str | None = None, version: str | None = None
    ) -> JobType:
        """Describe a job type, in its newest version or the one that is named."""
        query = _given({"instance": instance, "version": version})
        answer = self._connection.ask("GET", f"/types/{quote(name, safe='')}", params=query)
        return build(JobType, {**answer, "document": answer})

    def page(self, **filters: Any) -> Page:
        """Give a page of the list of jobs; the filters are those of ``GET /jobs``."""
        answer = self._connection.ask("GET", "/jobs", params=_query(filters))
        items = tuple(Job.of(one) for one in answer["items"])
        return Page(items, answer.get("next"), answer.get("counts"))

    def jobs(self, **filters: Any) -> Iterator[Job]:
        """Give all jobs that fit, page by page."""
        while True:
            found = self.page(**filters)
            yield from found.items
            if found.next is None:
                return
            filters = {**filters, "cursor": found.next}

    def job(self, job_id: str) -> Job:
        """Give a job with its stages, attempts, results, and why it waits."""
        return Job.of(self._connection.ask("GET", _path(job_id)))

    def events(self, job_id: str, since: int = 0, *, follow: bool = True) -> Iterator[Event]:
        """Give what happened to a job after event `since`, and what happens until its end.

        A restart of the server, a connection that breaks and a server without room for a further
        stream are got over: no event is missing and none comes twice.
        """
        name = quote(job_id, safe="")
        if follow:
            return following.follow(self._connection, name, since)
        return following.read(self._connection, name, since)

    def log(self, job_id: str, stage: str | None = None) -> str:
        """Give the log of a job, or of one of its stages, as it is now."""
        query = _given({"stage": stage})
        with self._connection.stream("GET", _path(job_id, "log"), params=query) as response:
            return response.read().decode(errors="replace")

    def cancel(self, job_id: str) -> Job:
        """Cancel a job."""
        return Job.of(self._connection.ask("POST", _path(job_id, "cancel")))

    def rerun(
        self,
        job_id: str,
        stage: str | None = None,
        only: bool = False,
        resources: Mapping[str, Any] | None = None,
    ) -> Job:
        """Run a job again, from the results that it has; `stage` even if nothing changed.

        `resources` are asked for of this attempt, beside those of the job.
        """
        wanted: dict[str, Any] = {**_given({"stage": stage}), **({"only": True} if only else {})}
        wanted |= {"resources": dict(resources)} if resources else {}
        return Job.of(self._connection.ask("POST", _path(job_id, "rerun"), json=wanted))

    def files(self, job_id: str) -> tuple[Artifact, ...]:
        """Give the result files of a job."""
        answer = self._connection.ask("GET", _path(job_id, "files"))
        return tuple(build(Artifact, one) for one in answer["items"])

    def download(
        self,
        job_id: str,
        path: str,
        target: str | Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Fetch a file of a job; `target` has it whole, its checksum compared, or not at all.

        Raises
        ------
        Incomplete
            If it broke off, again and again, or is not what the service said it is.
        """
        address = f"{_path(job_id, 'files')}/{quote(path)}"
        return fetch.download(self._connection, address, Path(target), progress)

    def directory(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        """Give the whole directory of a job that has ended, as a tar to be read in a stream."""
        return self._tar(_path(job_id, "directory.tar"))

    def release(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        """Give the release that a job runs, as a tar to be read in a stream."""
        return self._tar(_path(job_id, "release.tar"))

    @contextmanager
    def _tar(self, path: str) -> Iterator[BinaryIO]:
        with self._connection.stream("GET", path) as response:
            raw = fetch.Body(response.iter_bytes())
            yield cast(BinaryIO, io.BufferedReader(raw, 1 << 18))


def _path(job_id: str, *further: str) -> str:
    return "/".join(["/jobs", quote(job_id, safe=""), *further])


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _query(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Write lists as the service reads them, several values separated by commas."""
    return {
        name: _text(value) if isinstance(value, str | int) else ",".join(value)
        for name, value in _given(filters).items()
        if value != ()
    }


def _text(value: str | int) -> str | int:
    return str(value).lower() if isinstance(value, bool) else value


def _document(
    type_name: str,
    named: Mapping[str, str | int | None],
    several: Mapping[str, Mapping[str, Any] | Sequence[str] | None],
    further: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a request with what is given only: the service knows the rest."""
    filled = {
        name: dict(value) if isinstance(value, Mapping) else list(value)
        for name, value in several.items()
        if value
    }
    return {"type": type_name, **_given(named), **filled, **further}


def _patient() -> httpx.Timeout:
    return httpx.Timeout(_ACCEPT, connect=10.0)
