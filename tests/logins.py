"""`session login` under way: the address that it shows, and what it leaves."""

import socket
from urllib.parse import parse_qsl, urlsplit

from tests.world import Ran, World


def free_port() -> str:
    """A port of 127.0.0.1 that nobody listens on, so that logins can be tried side by side."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


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
