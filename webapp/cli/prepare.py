"""What `jobrunner up` does before this version of the service starts: also a program of its own."""

from __future__ import annotations

from webapp import migrate, pools
from webapp.service import Service


def prepare(service: Service) -> None:
    """Have the tables and the job types of this version, and the pool that `up` serves."""
    migrate.upgrade(service.db)
    service.home.releases.publish_shipped()
    with service.db.exclusive("workers") as session:
        pools.ensure(session, "default")


if __name__ == "__main__":
    prepare(Service.open())
