"""Waiting for one socket in both directions, on every platform."""

import selectors
import socket
import ssl

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

# poll() has no limit on descriptor numbers and needs no descriptor of its own; Windows lacks it.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def ready(sock: socket.socket, events: int, timeout: float) -> int:
    """Which of `events` are possible on `sock` within `timeout` seconds; 0 for none.

    A broken or closed connection counts as both, so that the next call on it tells why.
    """
    if events & READ and isinstance(sock, ssl.SSLSocket) and sock.pending():
        return READ  # decrypted already: the descriptor would not show it
    with _Selector() as selector:
        selector.register(sock, events)
        found: list[tuple[selectors.SelectorKey, int]] = selector.select(timeout)
    return found[0][1] if found else 0
