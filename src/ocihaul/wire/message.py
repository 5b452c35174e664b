"""What goes over a connection and what can go wrong there, as values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Block = bytes | bytearray | memoryview


class Body(Protocol):
    """A request body that can be sent again: each call of `blocks` starts over."""

    @property
    def length(self) -> int:
        """Bytes in all."""
        ...

    def blocks(self) -> Iterator[Block]:
        """The bytes in order; a block is only valid until the next one is asked for."""
        ...

    def sent(self, count: int) -> None:
        """`count` more bytes were handed to the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, headers complete. `target` is path and query as they go on the wire."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Body | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer. `headers` has lower-case names. `body_sent` counts request body bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    body_sent: int
    #: The request had gone out before, on an idle connection that ended without a word.
    resent: bool = False


class WireError(Exception):
    """The exchange ended without an answer; `body_sent` counts request body bytes."""

    def __init__(self, message: str, *, body_sent: int = 0, stale: bool = False) -> None:
        super().__init__(message)
        self.body_sent = body_sent
        #: The connection had been idle and was closed before a byte of an answer came.
        self.stale = stale


class StopSign(Protocol):
    """Whether to stop; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """True once what is under way is to end."""
        ...


class Stopped(Exception):
    """The stop event was set while the exchange was under way."""
