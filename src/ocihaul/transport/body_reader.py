"""The body of an answer on its way from a socket into a sink, with nothing in between.

Nothing is to be sent meanwhile, so the waiting is left to the socket: for a body that comes in
pieces of 16 KiB (TLS) that costs a fraction of a selector.
"""

import socket
import time

from ocihaul.transport.flows import Flow
from ocihaul.transport.limiter import Limiter
from ocihaul.transport.message import Sink, Stopped, StopSign, WireError
from ocihaul.transport.poller import SLICE

_TOO_LONG = "it is longer than what was asked for"


class Inflow:
    """Fills one sink from one non-blocking socket; `count` is how many bytes it has got.

    `timeout` is seconds without a byte. `flow`, if given, is told how it goes on.
    """

    def __init__(
        self, sock: socket.socket, sink: Sink, timeout: float, stop: StopSign, limiter: Limiter
    ) -> None:
        self.flow: Flow | None = None
        self.count = 0
        self._sock = sock
        self._sink = sink
        self._timeout = timeout
        self._stop = stop
        self._limiter = limiter
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since the other side was heard, or could have been: a limiter's pause is ours."""
        return time.monotonic() - self._heard

    def put(self, data: bytes | bytearray) -> None:
        """What was received already. Raises WireError when it is more than the sink takes."""
        left = memoryview(data)
        while left:
            space = self._sink.space()
            if not space:
                raise WireError(_TOO_LONG)
            count = min(len(space), len(left))
            space[:count] = left[:count]
            self.count += count
            self._sink.filled(count)
            left = left[count:]

    def read(self, left: int) -> None:
        """`left` bytes from the socket. Raises WireError, Stopped."""
        self._sock.settimeout(SLICE)
        try:
            while left:
                space = next(self._limiter.portions(self._sink.space()[:left]), None)
                if space is None:
                    raise WireError(_TOO_LONG)
                before = self.count
                try:
                    self._read_some(space)
                    if self.flow is not None:
                        self.flow.look()
                finally:  # what came counts, also when the connection breaks then
                    count = self.count - before
                    left -= count
                    if count:
                        self._sink.filled(count)
                if self.flow is not None and count:
                    self.flow.resume()
                if pause := self._limiter.delay(count):
                    self._rest(pause)
        except EOFError:
            raise WireError(f"the connection was closed, {left} bytes too early") from None
        finally:
            self._sock.settimeout(0.0)

    def _read_some(self, space: memoryview) -> None:
        """Fill the space, or as much of it as comes within a moment. Raises EOFError at the end."""
        until = time.monotonic() + SLICE
        while space:
            if self._stop.is_set():
                raise Stopped
            try:
                count = self._sock.recv_into(space)
            except TimeoutError:
                if time.monotonic() - self._heard > self._timeout:
                    timeout = f"{self._timeout:g} s"
                    raise WireError(f"the server took more than {timeout} to go on") from None
                return
            except OSError as error:
                raise WireError(f"the connection broke: {error}") from error
            if not count:
                raise EOFError
            self._heard = time.monotonic()
            self.count += count
            space = space[count:]
            if self._heard > until:
                return

    def _rest(self, seconds: float) -> None:
        """Let what the server sends wait in the buffers between us."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._stop.is_set():
                raise Stopped
            time.sleep(min(left, SLICE))  # a stop sign may be no event that can be waited for
        self._heard = time.monotonic()
