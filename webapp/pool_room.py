"""How much room a pool has: in all, and at each worker process, as an attempt runs on one host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runner.resources import told


class Takes(Protocol):
    """What takes cores and memory: a job, or what one will need."""

    @property
    def cores(self) -> int:
        """Cores; 0 of one whose work is done elsewhere."""

    @property
    def mem_mb(self) -> int:
        """Memory in MB."""


@dataclass
class Offer:
    """What one worker process has, and how much of that its jobs take.

    Attributes
    ----------
    worker, host : str
        Whose it is.
    slots, cores, mem_mb : int
        What there is; memory in MB.
    """

    worker: str
    host: str
    slots: int
    cores: int
    mem_mb: int
    used_slots: int = 0
    used_cores: int = 0
    used_mem_mb: int = 0

    def can_hold(self, job: Takes) -> bool:
        """Tell whether the job would fit if nothing else ran here."""
        return job.cores <= self.cores and job.mem_mb <= self.mem_mb

    def fits(self, job: Takes) -> bool:
        """Tell whether a slot is free, and the job fits beside what runs here."""
        return self.used_slots < self.slots and self.has_free(job)

    def has_free(self, job: Takes) -> bool:
        """Tell whether cores and memory for the job are free here."""
        return (
            self.used_cores + job.cores <= self.cores
            and self.used_mem_mb + job.mem_mb <= self.mem_mb
        )

    def take(self, job: Takes) -> None:
        """Count the job as running here."""
        self.used_slots += 1
        self.used_cores += job.cores
        self.used_mem_mb += job.mem_mb


@dataclass
class PoolRoom:
    """What a pool has, and what admitted jobs use of it.

    Attributes
    ----------
    slots, cores : int
        What there is.
    mem_mb : int
        Memory in MB.
    offered : int
        Slots that its living workers offer, whatever is set.
    offers : list of Offer
        Of each living worker process.
    one_cores, one_mem_mb : int or None
        The most that one job can have: an attempt runs on one host. None: nothing is known.
    """

    name: str
    slots: int = 0
    cores: int = 0
    mem_mb: int = 0
    offered: int = 0
    used_slots: int = 0
    used_cores: int = 0
    used_mem_mb: int = 0
    offers: list[Offer] = field(default_factory=list)
    capacity: int | None = None
    cores_set: int | None = None
    mem_mb_set: int | None = None
    one_cores: int | None = None
    one_mem_mb: int | None = None
    paused: bool = False

    @property
    def workers(self) -> int:
        """Living worker processes."""
        return len(self.offers)

    @property
    def mem_bytes(self) -> int:
        """Memory in bytes."""
        return self.mem_mb * 2**20

    @property
    def used_mem_bytes(self) -> int:
        """Memory that admitted jobs were given, in bytes."""
        return self.used_mem_mb * 2**20

    def can_hold(self, job: Takes) -> bool:
        """Tell whether the job would fit into the empty pool, as far as that is known."""
        return not self.lacks(job)

    def lacks(self, job: Takes) -> list[str]:
        """Give of what the pool has too little for the job, as far as that is known."""
        most = {"cores": self.one_cores, "mem_mb": self.one_mem_mb}
        lacking = [name for name, n in most.items() if n is not None and getattr(job, name) > n]
        if lacking or not self.offers or any(offer.can_hold(job) for offer in self.offers):
            return lacking
        return list(most)  # each is somewhere, but no host has both

    def shapes(self) -> list[tuple[int, int]]:
        """Give the cores and MB of memory that one job can have, of hosts that none surpasses."""
        found = {(offer.cores, offer.mem_mb) for offer in self.offers}
        return sorted(a for a in found if not any(_surpasses(b, a) for b in found))

    def told(self) -> str:
        """Say for people what one job can have of the pool, as far as that is known."""
        known: Sequence[tuple[int | None, int | None]] = self.shapes()
        known = known or [(self.one_cores, self.one_mem_mb)]
        return ", or ".join(_told(*shape) for shape in known)

    def fits(self, job: Takes) -> bool:
        """Tell whether the job fits beside what is running."""
        return self.has_free(job) and self._offer_for(job) is not None

    def has_free(self, job: Takes) -> bool:
        """Tell whether so much is free, be it on several hosts."""
        return (
            self.used_cores + job.cores <= self.cores
            and self.used_mem_mb + job.mem_mb <= self.mem_mb
        )

    def take(self, job: Takes, worker: str | None = None) -> None:
        """Count the job as running: at its worker, or else where it fits best."""
        self.used_slots += 1
        self.used_cores += job.cores
        self.used_mem_mb += job.mem_mb
        if offer := self._offer_of(worker) if worker else self._offer_for(job):
            offer.take(job)

    def of_worker(self, worker: str) -> Offer | None:
        """Give the offer of a worker process; None if that is not counted as living."""
        return next((offer for offer in self.offers if offer.worker == worker), None)

    def _offer_of(self, worker: str) -> Offer | None:
        """Give the offer that a worker's job takes from.

        What a worker runs that is about to leave is still there for the next one of its host.
        """
        host = worker.rsplit("-", 2)[0]  # see `webapp.pools.register`
        beside = next((offer for offer in self.offers if offer.host == host), None)
        return self.of_worker(worker) or beside

    def _offer_for(self, job: Takes) -> Offer | None:
        """Give the offer with the least memory to spare that the job fits into."""
        fitting = [offer for offer in self.offers if offer.fits(job)]
        return min(fitting, key=lambda offer: offer.mem_mb - offer.used_mem_mb, default=None)


def most(chosen: int | None, offers: Sequence[int]) -> int | None:
    """Give what one job can have: of the largest host, within what was set for all of them.

    Who sets more than the hosts offer knows better than they do.
    """
    if not offers:
        return chosen
    return max(of_one(chosen, offers, offer) for offer in offers)


def of_one(chosen: int | None, offers: Sequence[int], offer: int) -> int:
    """Give what a job can have of one of the offers; see `most`."""
    if chosen is None:
        return offer
    return chosen if chosen > sum(offers) else min(chosen, offer)


def _surpasses(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a != b and a[0] >= b[0] and a[1] >= b[1]


def _told(cores: int | None, mem_mb: int | None) -> str:
    known = {"cores": cores, "mem_mb": mem_mb}
    return " and ".join(told(name, n) for name, n in known.items() if n is not None)
