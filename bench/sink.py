"""The other end of every measurement: processes that swallow uploads and hand out one object.

Started as a program of its own: `python -m bench.sink DIRECTORY READABLE [ADDRESS]`. It prints its
ports as one JSON line and ends when its standard input does. All processes accept on the same two
sockets, plain and TLS; a thread serves a connection.
"""

import contextlib
import json
import mmap
import os
import signal
import socket
import ssl
import struct
import sys
import threading
from pathlib import Path

import trustme

from bench.exchange import Exchange
from bench.records import Records
from bench.service import Service

HOST = "127.0.0.1"
_SLOT = struct.Struct("<4Q")


class Counters:
    """Requests, body bytes in, body bytes out, renewals; one slot of shared memory a process."""

    def __init__(self, processes: int) -> None:
        self._memory = mmap.mmap(-1, _SLOT.size * processes)
        self._lock = threading.Lock()  # guards this process's slot
        self._processes = processes
        self.slot = 0

    def add(self, *counts: int) -> None:
        """Count in this process's slot."""
        with self._lock:
            now = _SLOT.unpack_from(self._memory, self.slot * _SLOT.size)
            total = (a + b for a, b in zip(now, counts, strict=True))
            _SLOT.pack_into(self._memory, self.slot * _SLOT.size, *total)

    def totals(self) -> dict[str, int]:
        """The sums over all processes."""
        slots = [_SLOT.unpack_from(self._memory, n * _SLOT.size) for n in range(self._processes)]
        names = ("requests", "bytes_in", "bytes_out", "renewals")
        return dict(zip(names, map(sum, zip(*slots, strict=True)), strict=True))


def serve(sock: socket.socket, context: ssl.SSLContext | None, service: Service) -> None:
    """Answer the requests of one connection until it ends."""
    with contextlib.suppress(OSError, ValueError), contextlib.closing(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            sock = context.wrap_socket(sock, server_side=True)
        with contextlib.closing(sock):
            exchange = Exchange(sock)
            while (head := exchange.head()) is not None:
                service.answer(head, exchange)


def accept_for_ever(
    listening: socket.socket, context: ssl.SSLContext | None, service: Service
) -> None:
    """Give each connection a thread."""
    while True:
        sock, _ = listening.accept()
        threading.Thread(target=serve, args=(sock, context, service), daemon=True).start()


def _listen(host: str) -> socket.socket:
    return socket.create_server((host, 0), backlog=1024)


def _context(ca_file: Path, host: str) -> ssl.SSLContext:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    return context


def main(directory: Path, readable: Path, host: str = HOST) -> int:
    """Serve until standard input ends; each line on it is answered with the counters."""
    processes = os.cpu_count() or 1
    counters = Counters(processes)
    plain, tls = _listen(host), _listen(host)
    context = _context(directory / "ca.pem", host)
    service = Service(Records(directory / "records"), readable, counters.add)
    children = []
    for slot in range(processes):
        child = os.fork()
        if child == 0:
            counters.slot = slot
            os.close(0)
            threading.Thread(target=accept_for_ever, args=(plain, None, service)).start()
            accept_for_ever(tls, context, service)
        children.append(child)
    ports = {"http": plain.getsockname()[1], "https": tls.getsockname()[1]}
    print(json.dumps(ports), flush=True)
    for _ in sys.stdin:
        print(json.dumps(counters.totals()), flush=True)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4]))
