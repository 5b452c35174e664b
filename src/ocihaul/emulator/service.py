"""What the parts of the emulator share: settings, clock, authority, store, faults, log."""

import threading
import time
from dataclasses import dataclass, field

from .auth import Authority
from .faults import Faults
from .log import Log
from .objects import Store
from .random_faults import RandomFaults
from .settings import Settings
from .throttle import Throttle
from .work import WorkRequests


@dataclass(slots=True)
class Service:
    """One emulated region. `settings` may be replaced at any time; read it once per decision."""

    settings: Settings
    store: Store
    log: Log
    faults: Faults
    closing: threading.Event
    throttle: Throttle = field(init=False)
    auth: Authority = field(init=False)
    work: WorkRequests = field(init=False)
    random_faults: RandomFaults = field(default_factory=RandomFaults)
    host_ports: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.closing)
        self.auth = Authority(lambda: self.settings, self.now)
        self.work = WorkRequests(self.store.lock, self.now)

    def now(self) -> float:
        """The service's own idea of the time, in epoch seconds."""
        return time.time() + self.settings.clock_offset
