"""A client of the service, for programs: httpx and the standard library, nothing else.

Examples
--------
>>> from webapp.client import Client
>>> with Client("https://jobs.example.org", token) as client:  # doctest: +SKIP
...     job = client.submit("import_timeseries", {"workbook": "results.xlsx"})
...     for event in client.events(job.id):
...         print(event.kind, event.data)
...     client.download(job.id, "results/report.html", "report.html")
"""

from webapp.client.connection import Incomplete, ServerAway
from webapp.client.errors import ApiError
from webapp.client.main import Client
from webapp.client.models import (
    Artifact,
    Attempt,
    Event,
    Job,
    JobError,
    JobType,
    Page,
    Plan,
    PlannedStage,
    Progress,
    Stage,
    Waiting,
)

__all__ = [
    "ApiError",
    "Artifact",
    "Attempt",
    "Client",
    "Event",
    "Incomplete",
    "Job",
    "JobError",
    "JobType",
    "Page",
    "Plan",
    "PlannedStage",
    "Progress",
    "ServerAway",
    "Stage",
    "Waiting",
]
