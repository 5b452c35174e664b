"""Logins under way: `session login`, a command at a terminal, and a browser of sorts."""

import contextlib
import http.client
import random
import re
import socket
import subprocess
import sys
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.world import Ran, World


def free_port() -> str:
    """A port of 127.0.0.1 that nobody listens on, so that logins can be tried side by side.

    It is none of those that the system gives to whoever asks for any, as the next one may.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return str(port)


class Waiting:
    """A login that has shown its address (or has ended) and waits for a browser."""

    def __init__(self, world: World, *args: str, **environ: str) -> None:
        self._world = world
        self.process = world.start(
            *("session", "login", "--login-endpoint", world.oci.endpoint),
            *("--callback-port", free_port(), *args),
            **environ,
        )
        assert self.process.stderr is not None
        self._said = ""
        self.address = ""
        while not self.address and (line := self.process.stderr.readline()):
            self._said += line
            self.address = line.strip() if line.startswith("http") else ""

    @property
    def home(self) -> str:
        """Where the browser is led back to."""
        return dict(parse_qsl(urlsplit(self.address).query))["redirect_uri"]

    def ends(self) -> Ran:
        """Wait for the end, and look for secrets in what was said."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with self.process:
            self._said += self.process.stderr.read()
            out = self.process.stdout.read()
        return self._world.checked(Ran(self.process.returncode, out, self._said))


def go_through(world: World, address: str, **fields: str) -> None:
    """What a person at a browser does: fill in the form, be led home, and have the page post."""
    fields = fields or {"username": "me", "password": "x"}
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("POST", parts.path, urlencode([*parse_qsl(parts.query), *fields.items()]))
    target, _, fragment = (connection.getresponse().getheader("location") or "").partition("#")
    connection.close()
    world.hidden.add(dict(parse_qsl(fragment)).get("security_token", "none at all"))
    netloc = urlsplit(target).netloc
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(target).port, timeout=10)
    connection.request("GET", "/", headers={"host": netloc})
    found = re.search(rb'"x-ocihaul-secret": "([^"]+)"', connection.getresponse().read())
    assert found
    headers = {"host": netloc, "origin": target, "x-ocihaul-secret": found[1].decode()}
    connection.request("POST", "/token", fragment, headers)
    assert connection.getresponse().status == 200
    connection.close()


class AtTerminal:
    """Our command at a terminal of its own; what it says on stdout and stderr comes as one text."""

    # A helper makes the terminal: fork in a process with threads (ours) is not safe.
    _SPAWN = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

    def __init__(self, world: World, *args: str, **environ: str) -> None:
        self._world = world
        self.process = subprocess.Popen(
            [sys.executable, "-c", self._SPAWN, sys.executable, "-m", "ocihaul", *args],
            env=world.environ() | {"TERM": "dumb"} | environ,
            stdin=subprocess.PIPE,  # kept open: an end of input would end the terminal
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said = ""

    def says(self, pattern: str) -> str:
        """Read on to the line that matches, and return what did."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said += line
            if found := re.search(pattern, line):
                return found[0]
        raise AssertionError(f"{pattern!r} was never said:\n{self._said}")

    def ends(self) -> Ran:
        """Wait for the end, and look for secrets in what was said."""
        assert self.process.stdout is not None
        with self.process:
            self._said += self.process.stdout.read()
        return self._world.checked(Ran(self.process.returncode, self._said, self._said))
