"""What goes wrong: faults that are planned, and faults by chance; each counts when it fired."""

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from ocihaul.emulator.log import Record


class UnfiredFaultsError(AssertionError):
    """A fault was planned and never happened: the test did not test what it says."""


@dataclass(slots=True, eq=False, kw_only=True)
class Fault:
    """One thing that goes wrong.

    It applies to requests that match `operation`, `part_number`, `object_name` and `token`
    (None: any) and that are authenticated (`clock_offset` and `revoke`: to all of them); the first
    `after` of them are let through, the next `times` (None: all) are hit. `fired` counts the hits
    whose effect really happened: a cut at a byte that the body never reaches does not count.

    On GetObject the byte marks and `corrupt` count in the bytes of the answer; everywhere else
    in the bytes of the request's body. `rot_at_byte` counts in the bytes of the whole object.
    """

    operation: str | None = None
    part_number: int | None = None
    object_name: str | None = None
    #: Only requests that are signed with this token (its text).
    token: str | None = field(default=None, repr=False)
    after: int = 0
    times: int | None = 1
    name: str = ""

    #: Answer with this instead of doing what was asked, once the body is read.
    status: int | None = None
    code: str | None = None
    message: str | None = None
    retry_after: int | None = None
    #: Answer `status` from the headers alone: no 100 Continue, body unread.
    early: bool = False
    #: Answer `status` when so many bytes of the body are there.
    early_at_byte: int | None = None
    #: Close after answering, whatever is unread; or read the rest first (see `early_close`).
    close: bool = False
    drain: bool = False
    #: Reset the connection when so many bytes have passed.
    cut_at_byte: int | None = None
    #: Do what was asked, then close without a word.
    cut_before_answer: bool = False
    #: Stop for so long, at `stall_at_byte` or (without it) before answering.
    stall_seconds: float | None = None
    stall_at_byte: int | None = None
    #: From this byte on the body trickles, at `trickle_rate` bytes a second, until its end.
    trickle_at_byte: int | None = None
    trickle_rate: float = 3.0
    #: One bit of the body is flipped on its way.
    corrupt: bool = False
    #: The same, at this byte of the body or (GetObject) of the answer.
    corrupt_at_byte: int | None = None
    #: One bit of the object, at this byte, turns over where it is stored and stays so: before a
    #: GetObject reads it, after any other operation.
    rot_at_byte: int | None = None
    #: The checksums in the answer are wrong; what is stored is right.
    corrupt_answer_checksum: bool = False
    #: The service's clock is off by so much for this one request, the signature check included.
    clock_offset: float | None = None
    #: Every token is revoked as the head of the request is there, which is so answered with 401;
    #: the auth service alone still takes them.
    revoke: bool = False
    #: The answer is not HTTP at all, or a proxy's HTML page (status 502 unless given).
    garbage: bool = False
    html: bool = False

    fired: int = field(default=0, init=False)
    seen: int = field(default=0, init=False)

    def fire(self, record: Record) -> None:
        """Count one effect, on the request of `record`."""
        if record.fault != self.label:
            self.fired += 1
        record.fault = self.label

    @property
    def before_authentication(self) -> bool:
        """Whether it acts on requests whose signature has not been looked at."""
        return self.revoke or self.clock_offset is not None

    @property
    def used_up(self) -> bool:
        """Whether all its `times` have been given out."""
        return self.times is not None and self.seen >= self.after + self.times

    @property
    def label(self) -> str:
        """`name`, or something that tells this fault from others."""
        return self.name or f"{self.operation or 'any'}-{self.status or 'fault'}"


class Faults:
    """The faults that are planned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the list and each fault's `seen`
        self._faults: list[Fault] = []

    def add(self, *faults: Fault) -> Fault:
        """Plan faults; returns the last one, to look at its `fired`."""
        with self._lock:
            self._faults.extend(faults)
        return faults[-1]

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._faults.clear()

    def take(
        self,
        operation: str,
        *,
        part_number: int | None,
        object_name: str | None,
        token: str | None,
        before_authentication: bool,
    ) -> Fault | None:
        """The fault that hits this request, if any; every match counts towards `after`.

        `before_authentication`: of the faults that act then (the clock's, `revoke`), or of the
        others.
        """
        hit = None
        with self._lock:
            for fault in self._faults:
                if fault.before_authentication is not before_authentication:
                    continue
                wanted = (fault.operation, fault.part_number, fault.object_name, fault.token)
                given = (operation, part_number, object_name, token)
                if any(w is not None and w != g for w, g in zip(wanted, given, strict=True)):
                    continue
                due = fault.seen >= fault.after
                if due and (hit is not None or fault.used_up):
                    continue
                fault.seen += 1
                if due:
                    hit = fault
        return hit

    def unfired(self) -> list[Fault]:
        """The faults that have not happened yet, or not as often as planned."""
        with self._lock:
            return [fault for fault in self._faults if fault.fired < (fault.times or 1)]

    def assert_all_fired(self) -> None:
        """UnfiredFaultsError unless every planned fault happened as often as planned."""
        unfired = self.unfired()
        if unfired:
            names = ", ".join(f"{f.label} ({f.fired} of {f.times or 'any'})" for f in unfired)
            raise UnfiredFaultsError(f"faults that never fired: {names}")


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
