"""The limits: the same parts over bare sockets, as cheaply as Python can move them.

`map` sends slices of a mapped file with one call a part, `file` uses sendfile, `get` fills a
buffer and writes it with pwrite. Nothing is hashed and nothing is signed. `md5` only hashes the
file, all cores at work: what true MD5s cost, whoever computes them. With an https endpoint the
same over TLS.
"""

import argparse
import hashlib
import json
import mmap
import os
import queue
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

#: Received, hashed and written at a time. TLS gives 16 KiB a call, so writing less often helps.
_BLOCK = 256 * 1024


class Line:
    """A connection that knows just enough HTTP."""

    def __init__(self, endpoint: str, ca_file: str) -> None:
        url = urlsplit(endpoint)
        self._host = url.netloc
        self.sock = socket.create_connection((url.hostname or "", url.port or 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=ca_file)
            self.sock = context.wrap_socket(self.sock, server_hostname=url.hostname)

    def ask(self, method: str, target: str, length: int = 0, extra: str = "") -> None:
        """Send a request's head."""
        head = f"{method} {target} HTTP/1.1\r\nhost: {self._host}\r\n{extra}"
        self.sock.sendall(f"{head}content-length: {length}\r\n\r\n".encode())

    def headers(self) -> tuple[dict[str, str], bytes]:
        """The answer's headers, and what came of its body with them. Raises when it is no 2xx."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionResetError("the sink hung up")
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        if first.split()[1][0] != "2":
            raise OSError(first)
        pairs = (line.partition(": ") for line in lines)
        return {name: value for name, _, value in pairs}, rest

    def fill(self, view: memoryview) -> None:
        """Receive as many bytes as there is room for."""
        while view:
            count = self.sock.recv_into(view)
            if not count:
                raise ConnectionResetError("the sink hung up")
            view = view[count:]


def in_parts(size: int, part_size: int, parallel: int, work: "Callable[[Parts], None]") -> None:
    """Run `work` in threads that share the parts. Raises the first error."""
    parts: Parts = queue.SimpleQueue()
    for number, offset in enumerate(range(0, size, part_size), 1):
        parts.put((number, offset, min(part_size, size - offset)))
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work(parts)
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001  raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(min(parallel, parts.qsize()))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


#: (number, offset, length) of each part that nobody has taken yet.
Parts = queue.SimpleQueue[tuple[int, int, int]]


def put(options: argparse.Namespace, *, mapped: bool) -> None:
    """Upload the file in parts, and commit."""
    target = f"/n/ns1/b/{options.bucket}/u/{options.name}?uploadId=upload"
    etags: dict[int, str] = {}
    size = options.file.stat().st_size
    with options.file.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

        def work(parts: Parts) -> None:
            line = Line(options.endpoint, options.ca_file)
            while True:
                number, offset, length = parts.get_nowait()
                line.ask("PUT", f"{target}&uploadPartNum={number}", length)
                if mapped:
                    line.sock.sendall(view[offset : offset + length])
                else:
                    while length:
                        sent = os.sendfile(line.sock.fileno(), file.fileno(), offset, length)
                        offset, length = offset + sent, length - sent
                etags[number] = line.headers()[0]["etag"]

        in_parts(size, options.part_size, options.parallel, work)
    committed = [{"partNum": number, "etag": etag} for number, etag in etags.items()]
    body = json.dumps({"partsToCommit": committed}).encode()
    line = Line(options.endpoint, options.ca_file)
    line.ask("POST", target, len(body))
    line.sock.sendall(body)
    line.headers()


def get(options: argparse.Namespace) -> None:
    """Download the readable object in ranges."""
    target = f"/n/ns1/b/{options.bucket}/o/{options.name}"
    line = Line(options.endpoint, options.ca_file)
    line.ask("HEAD", target)
    size = int(line.headers()[0]["content-length"])
    with options.file.open("wb") as file:

        def work(parts: Parts) -> None:
            line = Line(options.endpoint, options.ca_file)
            buffer = memoryview(bytearray(_BLOCK))
            while True:
                _, offset, length = parts.get_nowait()
                line.ask("GET", target, extra=f"range: bytes={offset}-{offset + length - 1}\r\n")
                rest = line.headers()[1]
                os.pwrite(file.fileno(), rest, offset)
                end = offset + length
                offset += len(rest)
                while offset < end:
                    block = buffer[: min(end - offset, _BLOCK)]
                    line.fill(block)
                    os.pwrite(file.fileno(), block, offset)
                    offset += len(block)

        in_parts(size, options.part_size, options.parallel, work)


def md5(options: argparse.Namespace) -> None:
    """Hash the parts of the file, as many at a time as there are cores."""
    with options.file.open("rb") as file:

        def work(parts: Parts) -> None:
            view = memoryview(bytearray(_BLOCK))
            while True:
                _, offset, length = parts.get_nowait()
                running = hashlib.md5(usedforsecurity=False)
                for start in range(offset, offset + length, _BLOCK):
                    block = view[: min(_BLOCK, offset + length - start)]
                    os.preadv(file.fileno(), [block], start)
                    running.update(block)

        in_parts(options.file.stat().st_size, options.part_size, os.cpu_count() or 1, work)


def main() -> int:
    """Do one of the four."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["map", "file", "get", "md5"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--ca-file", default="")
    parser.add_argument("--bucket", default="")
    parser.add_argument("--name", default="")
    parser.add_argument("--part-size", type=int, required=True)
    parser.add_argument("--parallel", type=int, default=1)
    options = parser.parse_args()
    if options.mode == "get":
        get(options)
    elif options.mode == "md5":
        md5(options)
    else:
        put(options, mapped=options.mode == "map")
    return 0


if __name__ == "__main__":
    sys.exit(main())
