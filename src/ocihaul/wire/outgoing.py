"""What the system tells of the bytes that were handed to a socket."""

import socket
import struct
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the other side has acknowledged, all bytes since the connection was opened.

    `silent` is how long bytes have been under way without an acknowledgement of any, seconds; 0
    where none are under way.
    """

    count: int
    silent: float


if sys.platform == "linux":
    import fcntl
    import termios

    # struct tcp_info of linux/tcp.h: eight bytes, 24 times u32, and u64 from there on.
    _UNACKED = struct.Struct("24xI")
    _LAST_ACK_RECEIVED = struct.Struct("56xI")  # milliseconds ago
    _BYTES_ACKED = struct.Struct("120xQ")  # since Linux 4.1

    def unacknowledged(sock: socket.socket) -> int:
        """Bytes handed to the socket that the other side has not acknowledged (SIOCOUTQ)."""
        try:
            answer = fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0")
        except OSError:  # closed meanwhile, or no TCP
            return 0
        count: int = struct.unpack("i", answer)[0]
        return count

    def acknowledged(sock: socket.socket) -> Acknowledged | None:
        """What was acknowledged (TCP_INFO); None where the system does not tell."""
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        except OSError:  # closed meanwhile, or no TCP
            return None
        if len(info) < _BYTES_ACKED.size:
            return None
        waiting = _UNACKED.unpack_from(info)[0]
        silent = _LAST_ACK_RECEIVED.unpack_from(info)[0] / 1000 if waiting else 0.0
        return Acknowledged(_BYTES_ACKED.unpack_from(info)[0], silent)

else:

    def unacknowledged(sock: socket.socket) -> int:  # noqa: ARG001  the same everywhere
        """Not known here: what was handed over counts as gone."""
        return 0

    def acknowledged(sock: socket.socket) -> Acknowledged | None:  # noqa: ARG001
        """Not known here."""
        return None
