"""Faults by chance: how likely each kind is for one request, drawn from a seed, and counted."""

import random
import threading
from collections import Counter
from dataclasses import dataclass

from .faults import Fault

#: Operations whose body, or whose answer's body, is bytes of an object.
_UPLOADS = frozenset({"PutObject", "UploadPart", "ParPutObject", "ParUploadPart"})
_DOWNLOADS = frozenset({"GetObject"})
#: A refresh whose body arrives damaged is answered 401, which ends a session as it should.
_NEVER_DAMAGED = frozenset({"RefreshToken"})
_LATE_SECONDS = (0.05, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Probabilities, each in 0..1, for one request; no two faults hit the same request.

    `cut` is spread evenly over the places that the request has: before the body, inside it,
    behind it with nothing done, and behind it with all done but the answer. `damage` flips one
    bit of the body (GetObject: of the answer). `late` keeps a request for some tenths of a second
    between its body and its effect, so that a client that was killed has sent it all the same.
    """

    status_500: float = 0.0
    status_503: float = 0.0
    cut: float = 0.0
    damage: float = 0.0
    late: float = 0.0


#: The names of all kinds, as `RandomFaults.fired` counts them.
KINDS = (
    *("status-500", "status-503"),
    *("cut-before-body", "cut-in-body", "cut-after-body", "cut-before-answer"),
    *("damaged-upload", "damaged-download", "damaged-request", "late"),
)


class RandomFaults:
    """Draws a fault for a request, or none. Thread-safe.

    The same seed and the same requests in the same order give the same faults.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards everything below
        self._rates = FaultRates()
        self._chance = random.Random(0)  # noqa: S311  no secret
        self._drawn: list[Fault] = []

    def set(self, rates: FaultRates, *, seed: int | None = None) -> None:
        """From now on these rates count; `seed` begins the sequence anew."""
        with self._lock:
            self._rates = rates
            if seed is not None:
                self._chance.seed(seed)

    def draw(self, operation: str, size: int) -> Fault | None:
        """A fault for one request; `size`: bytes of its body, for GetObject of the answer's."""
        with self._lock:
            fault = self._draw(operation, size)
            if fault is not None:
                self._drawn.append(fault)
            return fault

    def fired(self) -> Counter[str]:
        """How often each kind really happened since the start."""
        with self._lock:
            return Counter(fault.name for fault in self._drawn if fault.fired)

    def _draw(self, operation: str, size: int) -> Fault | None:
        rates, chance = self._rates, self._chance
        point = chance.random()
        for status, rate in ((500, rates.status_500), (503, rates.status_503)):
            if point < rate:
                return Fault(status=status, name=f"status-{status}")
            point -= rate
        for make, rate in ((_cut, rates.cut), (_damage, rates.damage), (_late, rates.late)):
            if point < rate:
                return make(chance, operation, size)
            point -= rate
        return None


def _cut(chance: random.Random, operation: str, size: int) -> Fault:
    places = ["cut-before-answer"]
    if size:
        places += ["cut-before-body", "cut-in-body"]
    if size and operation not in _DOWNLOADS:
        places.append("cut-after-body")
    name = chance.choice(places)
    if name == "cut-before-answer":
        return Fault(cut_before_answer=True, name=name)
    at = {"cut-before-body": 0, "cut-in-body": chance.randrange(size), "cut-after-body": size}
    return Fault(cut_at_byte=at[name], name=name)


def _damage(chance: random.Random, operation: str, size: int) -> Fault | None:
    if not size or operation in _NEVER_DAMAGED:
        return None
    kind = "upload" if operation in _UPLOADS else "download"
    kind = kind if operation in _UPLOADS | _DOWNLOADS else "request"
    return Fault(corrupt_at_byte=chance.randrange(size), name=f"damaged-{kind}")


def _late(chance: random.Random, operation: str, size: int) -> Fault | None:
    if not size:
        return None
    at = 0 if operation in _DOWNLOADS else size
    return Fault(stall_at_byte=at, stall_seconds=chance.uniform(*_LATE_SECONDS), name="late")
