"""An answer whose head has not the usual shape, or whose body has no length: read by h11."""

from collections.abc import Callable, Iterator

import h11

from ocihaul.transport.message import MOST_HEAD, AnswerHead, WireError, excerpt


class UnusualAnswer:
    """One answer to a request. `head` is the final answer's, with what has come behind it."""

    def __init__(self, method: str) -> None:
        self.head: tuple[AnswerHead, bytes] | None = None
        self._method = method
        # As if h11 had sent the request: the answer's framing depends on the method alone.
        self._protocol = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        self._protocol.send(h11.Request(method=method, target="/", headers=[("host", "")]))
        self._protocol.send(h11.EndOfMessage())

    def take(self, data: bytes) -> bool:
        """Take in bytes of the head; True when they were `100 Continue` or the final answer.

        Raises WireError when they are no answer.
        """
        try:
            self._protocol.receive_data(data)
            return self._next_message()
        except h11.RemoteProtocolError as error:
            raise WireError(f"the answer is not HTTP: {excerpt(error, 200)}") from error

    def body(self, receive: Callable[[], bytes]) -> Iterator[bytes]:
        """The body; `receive` waits for more bytes, none mean the end. Raises WireError."""
        try:
            while True:
                event = self._protocol.next_event()
                if event is h11.NEED_DATA:
                    self._protocol.receive_data(receive())
                elif isinstance(event, h11.Data):
                    yield bytes(event.data)
                else:
                    break
        except h11.RemoteProtocolError as error:
            raise WireError(excerpt(error, 200)) from error

    @property
    def goes_on(self) -> bool:
        """Whether another answer can follow on the same connection, now that this one has ended."""
        protocol = self._protocol
        return protocol.their_state is h11.DONE and not protocol.trailing_data[0]

    def _next_message(self) -> bool:
        heard = False
        while self.head is None:
            event = self._protocol.next_event()
            if isinstance(event, h11.InformationalResponse):
                heard = heard or event.status_code == 100
            elif isinstance(event, h11.Response):
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
                head = AnswerHead.of(
                    self._method, event.status_code, headers, version=event.http_version
                )
                self.head = head, self._protocol.trailing_data[0]
                heard = True
            else:
                break
        return heard
