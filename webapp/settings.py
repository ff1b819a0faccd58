"""Settings of the service: environment variables ``JOBRUNNER_…``, see config/README.md."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from runner.home import Home
from runner.jobtype import parse_size

_LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107
Size = Annotated[int, BeforeValidator(parse_size)]


def _split(given: object) -> object:
    return tuple(given.replace(",", " ").split()) if isinstance(given, str) else given


Addresses = Annotated[tuple[str, ...], BeforeValidator(_split), NoDecode]


class Settings(BaseSettings):
    """What a process of the service needs to know.

    Attributes
    ----------
    home : Path
        The home folder, shared by all hosts.
    database_url, redis_url : str
        Where database and Redis are; by default a SQLite file and a socket in the home folder.
    """

    model_config = SettingsConfigDict(env_prefix="JOBRUNNER_", frozen=True)

    home: Path = Field(default_factory=lambda: Home.find().path)
    database_url: str = Field(default_factory=lambda data: _sqlite(data["home"]))
    redis_url: str = Field(default_factory=lambda data: f"unix://{socket_path(data['home'])}")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    web_processes: int = Field(default=1, ge=1)
    web_threads: int = Field(default=32, ge=4)
    upload_limit: Size = 5_000_000_000
    disk_reserve: Size = 1_000_000_000
    heartbeat: float = Field(default=5.0, gt=0)
    worker_lost_after: float = Field(default=30.0, gt=0)
    reconcile_every: float = Field(default=5.0, gt=0)
    max_interruptions: int = Field(default=3, ge=0)
    idempotency_hours: float = Field(default=24, gt=0)
    log_level: str = "INFO"
    log_format: Literal["auto", "text", "json"] = "auto"
    public_url: str | None = None
    mail: str | None = Field(default=None, repr=False)
    mail_from: str = "jobrunner@localhost"
    alert_to: Addresses = ()
    alert_failures: int = Field(default=3, ge=2)
    alert_waiting: float = Field(default=60.0, ge=0)
    notice_hours: float = Field(default=24, gt=0)
    disk_low: Size = 5_000_000_000
    sweep_every: float = Field(default=600.0, gt=0)
    sweep_budget: int = Field(default=500, ge=1)
    rate_limit: str = "6000/minute"
    auth_rate_limit: str = "30/minute"
    trusted_proxies: int = Field(default=0, ge=0)
    metrics_open: bool = False

    @property
    def max_streams(self) -> int:
        """How many event streams one web process serves at once: each holds a thread."""
        return self.web_threads // 2


def socket_path(home: Path) -> Path:
    """Give the place of the socket of the home's own Redis; short enough for the kernel."""
    path = home / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir(), f"jobrunner-{os.getuid()}-{digest}", "redis.sock")


def _sqlite(home: Path) -> str:
    return f"sqlite:///{home / 'service.db'}"
