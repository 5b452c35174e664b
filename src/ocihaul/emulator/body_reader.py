"""Taking a body in: 100 Continue, pacing, the faults that sit at a byte, the signed hash."""

import base64
import hashlib
from collections.abc import Callable

from ocihaul.emulator.call import Call
from ocihaul.emulator.fault_effects import Cut, planned_error
from ocihaul.emulator.faults import Fault
from ocihaul.emulator.log import Record
from ocihaul.emulator.responses import not_authenticated
from ocihaul.emulator.state import Service
from ocihaul.emulator.wire import Wire


class ClientGone(Exception):
    """The client closed before its body was complete."""


class BodyReader:
    """The body of one request; `fault` may be set until `receive` is called."""

    def __init__(
        self, service: Service, wire: Wire, call: Call, record: Record, buffer: bytearray
    ) -> None:
        self.fault: Fault | None = None
        self._service = service
        self._wire = wire
        self._call = call
        self._record = record
        self._buffer = memoryview(buffer)
        self._marks: list[tuple[int, Callable[[Fault], None]]] = []
        self._trickle: float | None = None

    def receive(self, write: Callable[[memoryview], object]) -> None:
        """Read the whole body into `write`."""
        self._continue()
        self._wire.set_timeout(self._service.settings.body_timeout)
        self._marks = self._plan()
        hasher = hashlib.sha256() if self._call.body_signed else None
        record = self._record
        while True:
            self._at_mark()
            if record.body_received >= record.body_expected:
                break
            chunk = self._read()
            self._corrupt(chunk)
            if hasher is not None:
                hasher.update(chunk)
            write(chunk)
        if hasher is not None:
            self._check_hash(hasher.digest())

    def drain(self) -> None:
        """Read what is left and throw it away."""
        while self._record.body_received < self._record.body_expected:
            self._read()

    def _continue(self) -> None:
        settings = self._service.settings
        if not self._record.expected_100 or settings.ignore_expect:
            return
        if settings.continue_delay is not None:
            self._service.closing.wait(settings.continue_delay)
        self._wire.send_continue()
        self._record.sent_100 = True

    def _read(self) -> memoryview:
        """The next bytes, none beyond the next mark."""
        record, rate = self._record, self._service.settings.bandwidth
        room = min(
            len(self._buffer),
            self._service.throttle.chunk(rate),
            record.body_expected - record.body_received,
        )
        if self._marks:
            room = min(room, self._marks[0][0] - record.body_received)
        if self._trickle is not None:
            room = min(room, 1)
            self._service.closing.wait(1 / self._trickle)
        size = self._wire.read_into(self._buffer[:room])
        if size == 0:
            raise ClientGone("the client closed in the middle of the body")
        record.body_received += size
        if rate is not None:
            self._service.throttle.spent(size, rate)
        return self._buffer[:size]

    # --- faults

    def _plan(self) -> list[tuple[int, Callable[[Fault], None]]]:
        fault = self.fault
        if fault is None:
            return []
        marks = [
            (fault.stall_at_byte, self._stall),
            (fault.early_at_byte, self._answer_early),
            (fault.cut_at_byte, self._cut),
            (fault.trickle_at_byte, self._slow_down),
        ]
        return sorted(
            ((at, effect) for at, effect in marks if at is not None), key=lambda mark: mark[0]
        )

    def _at_mark(self) -> None:
        while self.fault and self._marks and self._marks[0][0] <= self._record.body_received:
            _, effect = self._marks.pop(0)
            effect(self.fault)

    def _stall(self, fault: Fault) -> None:
        fault.fire(self._record)
        self._service.closing.wait(fault.stall_seconds or 0)

    def _slow_down(self, fault: Fault) -> None:
        fault.fire(self._record)
        self._trickle = fault.trickle_rate

    def _answer_early(self, fault: Fault) -> None:
        fault.fire(self._record)
        raise planned_error(fault)

    def _cut(self, fault: Fault) -> None:
        fault.fire(self._record)
        raise Cut(reset=True)

    def _corrupt(self, chunk: memoryview) -> None:
        fault = self.fault
        if fault is None or self._record.fault is not None:
            return
        at = 0 if fault.corrupt else fault.corrupt_at_byte
        start = self._record.body_received - len(chunk)
        if at is not None and start <= at < self._record.body_received:
            chunk[at - start] ^= 1 << at % 8
            fault.fire(self._record)

    def _check_hash(self, digest: bytes) -> None:
        if base64.b64encode(digest).decode() != self._call.headers.get("x-content-sha256"):
            raise not_authenticated("x-content-sha256 is not that of the body")
