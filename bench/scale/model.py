"""A discrete simulation of one transfer by many workers: what each step waits for.

The driver is one process with one interpreter: what it does for a part or a batch, it does for one
after the other. A worker's line is shared by its threads. The service takes so many requests a
second. Constants are measured by `bench.scale.run`; what is assumed is said where it is given.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy


@dataclass(frozen=True, slots=True)
class Constants:
    """Seconds and bytes per second.

    `driver_per_part` is the driver's CPU for a part or a batch, `scheduler_per_task` Dask's.
    `start` is all before the first part and after the last one. `per_part` is what a thread waits
    for besides its line: the way to the worker and back, signature, hashes, round trips.
    `worker_rate` is a worker's line, `service_rate` the service's requests per second (None: no
    limit). `ahead`: tasks under way for each thread.
    """

    driver_per_part: float = 0.005
    scheduler_per_task: float = 0.0005
    start: float = 0.5
    per_part: float = 0.02
    worker_rate: float = 2_500_000.0
    service_rate: float | None = None
    ahead: int = 2


@dataclass(frozen=True, slots=True)
class Transfer:
    """`size` bytes in parts of `part_size`; or as many batches, where a part stands for one."""

    size: int
    part_size: int
    workers: int
    threads: int
    constants: Constants = field(default_factory=Constants)

    @property
    def parts(self) -> int:
        """How many."""
        return -(-self.size // self.part_size)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How long it took, and which part of that time each was busy; seconds, and shares of 1."""

    seconds: float
    driver_busy: float
    scheduler_busy: float
    line_busy: float

    @property
    def limit(self) -> str:
        """What it waited for most."""
        busy = {
            "driver": self.driver_busy,
            "scheduler": self.scheduler_busy,
            "line": self.line_busy,
        }
        return max(busy, key=lambda each: busy[each])


class _Run:
    def __init__(self, transfer: Transfer) -> None:
        self.transfer = transfer
        self.environment = simpy.Environment()
        self.lines = [simpy.Resource(self.environment) for _ in range(transfer.workers)]
        self.submitted: simpy.Store = simpy.Store(self.environment)
        self.tasks: simpy.Store = simpy.Store(self.environment)
        self.ended: simpy.Store = simpy.Store(self.environment)
        self.driver_busy = 0.0
        self.scheduler_busy = 0.0
        self.line_busy = 0.0
        self.next_request = 0.0

    def run(self) -> Outcome:
        transfer = self.transfer
        done = self.environment.process(self.drive())
        self.environment.process(self.schedule())
        for line in self.lines:
            for _ in range(transfer.threads):
                self.environment.process(self.work(line))
        self.environment.run(until=done)
        seconds = self.environment.now
        return Outcome(
            seconds,
            self.driver_busy / seconds,
            self.scheduler_busy / seconds,
            self.line_busy / seconds / transfer.workers,
        )

    def drive(self) -> Generator[Any, Any, None]:
        """Bring tasks while there is room, and take what came of them: one thing at a time."""
        constants, left, way = self.transfer.constants, self.transfer.parts, 0
        size = self.transfer.size
        window = constants.ahead * self.transfer.workers * self.transfer.threads
        yield self.environment.timeout(constants.start)
        while left or way:
            if left and way < window:
                length = min(self.transfer.part_size, size)
                size -= length
                yield from self.busy(constants.driver_per_part / 2)
                self.submitted.put(length)
                left, way = left - 1, way + 1
                continue
            yield self.ended.get()
            way -= 1
            yield from self.busy(constants.driver_per_part / 2)

    def schedule(self) -> Generator[Any, Any, None]:
        """The scheduler is a process of its own, and does one thing at a time, too."""
        while True:
            length = yield self.submitted.get()
            self.scheduler_busy += self.transfer.constants.scheduler_per_task
            yield self.environment.timeout(self.transfer.constants.scheduler_per_task)
            self.tasks.put(length)

    def busy(self, seconds: float) -> Generator[Any, Any, None]:
        """Work of the driver."""
        self.driver_busy += seconds
        yield self.environment.timeout(seconds)

    def work(self, line: simpy.Resource) -> Generator[Any, Any, None]:
        """One thread of a worker."""
        constants = self.transfer.constants
        while True:
            length = yield self.tasks.get()
            yield self.environment.timeout(constants.per_part)
            yield from self.admitted()
            yield from self.send(line, length)
            self.ended.put(length)

    def admitted(self) -> Generator[Any, Any, None]:
        """The service takes so many requests a second, one after the other."""
        rate = self.transfer.constants.service_rate
        if rate is None:
            return
        at = max(self.next_request, self.environment.now)
        self.next_request = at + 1 / rate
        yield self.environment.timeout(at - self.environment.now)

    def send(self, line: simpy.Resource, length: int) -> Generator[Any, Any, None]:
        """The line is shared: in slices, so that its threads go on side by side."""
        slices = self.transfer.threads
        each = length / self.transfer.constants.worker_rate / slices
        for _ in range(slices):
            with line.request() as turn:
                yield turn
                self.line_busy += each
                yield self.environment.timeout(each)


def simulate(transfer: Transfer) -> Outcome:
    """How long the transfer takes, and what it waits for."""
    return _Run(transfer).run()
