"""One answer as it arrives. h11 reads every head but the usual ones, and every body of a length
that nobody has told.
"""

from collections.abc import Callable, Iterator

import h11

from ocihaul.transport.http_heads import AnswerHead, usual_head
from ocihaul.transport.message import WireError, excerpt

#: The largest head, and the largest trailer, bytes; metadata of an object has 4,000 at most.
_MOST_HEAD = 64 * 1024


class Reply:
    """The answer to one request. `head` is None until the head of the final answer is there.

    `is_last`: no other answer can follow on the same connection.
    """

    def __init__(self, method: str) -> None:
        self.head: AnswerHead | None = None
        self.is_last = True  # until it has ended well
        self._method = method
        self._ahead = b""
        self._protocol: h11.Connection | None = None

    def take(self, data: bytes) -> bool:
        """Take in bytes of the head; True when they were `100 Continue` or the final answer.

        Empty bytes are the end of the connection. Raises WireError when it is no answer.
        """
        if not data:
            raise WireError("the server closed the connection without an answer")
        if self._protocol is None:
            usual = usual_head(self._method, data)
            if usual is not None:
                self.head, self._ahead = usual
                return True
            self._protocol = _waiting_for_answer(self._method)
        try:
            self._protocol.receive_data(data)
            return self._next_message(self._protocol)
        except h11.RemoteProtocolError as error:
            raise WireError(f"the answer is not HTTP: {excerpt(error, 200)}") from error

    def _next_message(self, protocol: h11.Connection) -> bool:
        heard = False
        while self.head is None:
            event = protocol.next_event()
            if isinstance(event, h11.InformationalResponse):
                heard = heard or event.status_code == 100
            elif isinstance(event, h11.Response):
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                self.head = AnswerHead.of(
                    self._method, event.status_code, headers, version=event.http_version
                )
                self._ahead = protocol.trailing_data[0]
                heard = True
            else:
                break
        return heard

    def ahead(self, most: int) -> bytes:
        """What has come behind the head so far, at most so many bytes of it."""
        return self._ahead[:most]

    def body(self, receive: Callable[[], bytes]) -> Iterator[bytes]:
        """The body; `receive` waits for more bytes, none mean the end. Raises WireError."""
        if self.head is None or self.head.length is None:
            yield from self._framed(receive)
            return
        data, left = self._ahead, self.head.length
        while True:
            yield data[:left]
            left -= len(data)
            if left <= 0:
                break
            data = receive()
            if not data:
                raise WireError(f"the connection was closed, {left} bytes too early")
        self.finished(surplus=left < 0)

    def finished(self, *, surplus: bool | None = None) -> None:
        """The body has come, by whatever way; with a `surplus` that nobody asked for."""
        head = self.head
        if surplus is None:
            surplus = head is None or head.length is None or len(self._ahead) > head.length
        self.is_last = surplus or head is None or not head.stays_open

    def _framed(self, receive: Callable[[], bytes]) -> Iterator[bytes]:
        """A body whose end only its framing tells, or the end of the connection."""
        protocol = self._protocol
        if protocol is None:
            raise AssertionError("an answer of the usual shape has a known length")
        try:
            while True:
                event = protocol.next_event()
                if event is h11.NEED_DATA:
                    protocol.receive_data(receive())
                elif isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    break
        except h11.RemoteProtocolError as error:
            raise WireError(excerpt(error, 200)) from error
        goes_on = protocol.their_state is h11.DONE and not protocol.trailing_data[0]
        self.finished(surplus=not goes_on)


def _waiting_for_answer(method: str) -> h11.Connection:
    """As if h11 had sent the request: what the answer's framing depends on is the method alone."""
    protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
    protocol.send(h11.Request(method=method, target="/", headers=[("host", "")]))
    protocol.send(h11.EndOfMessage())
    return protocol
