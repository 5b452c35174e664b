"""Listening, and one thread for each connection; closes quickly, whatever is going on."""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from pathlib import Path

import h11

from ocihaul.emulator.call import Wire
from ocihaul.emulator.connection_handler import ConnectionHandler
from ocihaul.emulator.log import Record
from ocihaul.emulator.settings import MIB
from ocihaul.emulator.state import Service

_HANDSHAKE_SECONDS = 10.0
#: Between two tries to accept where that fails, seconds: descriptors or threads may be short.
_SHORT_OF = 0.05
#: What a paced connection may hold in the kernel: else a client is done long before we are.
_PACED_BUFFER = 64 * 1024


class Server:
    """Accepts connections from construction until `close`."""

    def __init__(self, service: Service, tls: ssl.SSLContext | None) -> None:
        self._service = service
        self._tls = tls
        settings = service.settings
        self._listener = socket.create_server((settings.host, settings.port), backlog=1024)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()  # guards _open
        self._open: dict[int, tuple[socket.socket, threading.Thread]] = {}
        self._acceptor = threading.Thread(target=self._accept, name="emulator", daemon=True)

    @property
    def port(self) -> int:
        """The port that the system chose, if it was left to it."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    def close(self, timeout: float = 0.8) -> None:
        """Stop accepting, break every connection, wait a little for the threads."""
        deadline = time.monotonic() + timeout
        self._service.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(max(0.0, deadline - time.monotonic()))
        self._listener.close()
        with self._lock:
            still_open = list(self._open.values())
            for sock, _ in still_open:
                # Not SSLSocket.shutdown: that pulls the TLS state from under a reading thread.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for _, thread in still_open:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self) -> None:
        while not self._service.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:  # closing, a client that has gone, or too many open files
                self._service.closing.wait(_SHORT_OF)
                continue
            number = next(self._numbers)
            thread = threading.Thread(
                target=self._serve, args=(number, sock), name=f"emulator-{number}", daemon=True
            )
            with self._lock:
                self._open[number] = (sock, thread)
                try:
                    thread.start()
                except RuntimeError:  # too many threads: this client is turned away
                    del self._open[number]
                    sock.close()

    def _serve(self, number: int, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            settings = self._service.settings
            if settings.bandwidth is not None or settings.connection_bandwidth is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PACED_BUFFER)
            if self._tls is not None:
                sock = self._secure(number, self._tls, sock)
            self._converse(number, Wire(sock))
        except OSError:
            pass  # the client is gone, or we are closing
        finally:
            # Taken off the list first: the number of a closed socket may be someone else's.
            with self._lock:
                del self._open[number]
                sock.close()

    def _secure(self, number: int, tls: ssl.SSLContext, sock: socket.socket) -> socket.socket:
        sock.settimeout(_HANDSHAKE_SECONDS)
        # Listed before the handshake, so that `close` can break into it.
        secured = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open[number] = (secured, self._open[number][1])
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured

    def _converse(self, number: int, wire: Wire) -> None:
        buffer = bytearray(MIB)
        while not self._service.closing.is_set():
            try:
                request = wire.read_request(self._service.settings.idle_timeout)
            except h11.RemoteProtocolError as error:
                self._refuse(number, wire, error)
                return
            if request is None:
                return
            if not ConnectionHandler(self._service, wire, request, number, buffer).run():
                return

    def _refuse(self, number: int, wire: Wire, error: h11.RemoteProtocolError) -> None:
        """Answer to something that is not HTTP."""
        log = self._service.log
        record = Record(
            sequence=log.next_sequence(),
            connection=number,
            operation="Malformed",
            method="",
            path="",
            query={},
            headers={},
            status=400,
            error_detail=str(error),
        )
        log.show(record)
        with contextlib.suppress(OSError):
            wire.send_raw(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        log.finish(record)


def server_context(host: str, ca_file: Path) -> ssl.SSLContext:
    """A server context for `host`; its CA certificate is written to `ca_file`."""
    # An extra, which only TLS needs.
    import trustme  # noqa: PLC0415

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(ca_file)
    return context
