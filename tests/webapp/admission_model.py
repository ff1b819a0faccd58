"""What admission must do, written down in another way than it does it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Waits:
    """A job as the model knows it; `number` is its age."""

    number: int
    pool: str
    instance: str
    type: str
    priority: int
    cores: int
    mem_mb: int

    @property
    def id(self) -> str:
        return f"{self.number:010d}"


@dataclass
class World:
    """What decides who may start."""

    limits: dict[str, int | None]
    type_limits: dict[tuple[str, str], int | None]
    rooms: dict[str, tuple[int, int, int]]  # slots, cores, memory
    waiting: list[Waits] = field(default_factory=list)
    running: list[Waits] = field(default_factory=list)
    paused: set[tuple[str, str]] = field(default_factory=set)

    def below_limits(self, job: Waits) -> bool:
        of_instance = [r for r in self.running if r.instance == job.instance]
        of_type = [r for r in of_instance if r.type == job.type]
        limit, type_limit = self.limits[job.instance], self.type_limits[job.instance, job.type]
        return (limit is None or len(of_instance) < limit) and (
            type_limit is None or len(of_type) < type_limit
        )

    def used(self, pool: str) -> tuple[int, int, int]:
        mine = [job for job in self.running if job.pool == pool]
        return len(mine), sum(j.cores for j in mine), sum(j.mem_mb for j in mine)

    def admit(self) -> list[str]:
        """What admission must do, written down in another way than it does it."""
        admitted: list[str] = []
        if ("service", "all") in self.paused:
            return admitted
        for pool, (slots, cores, mem_mb) in sorted(self.rooms.items()):
            for job in sorted(self.waiting, key=lambda j: (-j.priority, j.number)):
                if job.pool != pool or ("pool", pool) in self.paused:
                    continue
                if ("instance", job.instance) in self.paused or not self.below_limits(job):
                    continue
                if job.cores > cores or job.mem_mb > mem_mb:
                    continue  # it can never run here and must stop nobody
                used = self.used(pool)
                if used[0] >= slots or used[1] + job.cores > cores or used[2] + job.mem_mb > mem_mb:
                    break  # nobody overtakes it
                self.waiting.remove(job)
                self.running.append(job)
                admitted.append(job.id)
        return admitted
