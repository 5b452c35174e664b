"""A person's browser: whether there is one here, opening it, and the way in from elsewhere."""

import getpass
import socket
import sys
import threading
from collections.abc import Mapping

from ocihaul.events import LoginOffered


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Whether a browser that this process opens would be seen by the person who started it.

    BROWSER is believed. A shell over ssh has none, unless it brought a display along.
    """
    if environ.get("BROWSER"):
        return True
    display = any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if is_remote(environ):
        return display
    return display or platform in {"darwin", "win32"}


def is_remote(environ: Mapping[str, str]) -> bool:
    """Whether this is a shell over ssh."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def open_page(url: str) -> None:
    """Open `url` without waiting: a text browser would not come back before it is closed."""
    import webbrowser

    threading.Thread(target=webbrowser.open_new, args=[url], name="browser", daemon=True).start()


def tunnel_line(port: int, environ: Mapping[str, str]) -> str:
    """The command that leads `port` of the machine where the browser is to this one."""
    parts = environ.get("SSH_CONNECTION", "").split()
    host = parts[2] if len(parts) == 4 else socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        user = "user"
    return f"ssh -L {port}:127.0.0.1:{port} {user}@{host}"


def offer(url: str, port: int, environ: Mapping[str, str]) -> LoginOffered:
    """How a person gets to the login at `url`, which waits at `port` of this machine."""
    here = has_browser(environ)
    tunnel = tunnel_line(port, environ) if is_remote(environ) or not here else None
    return LoginOffered(url, port, here, tunnel)


def directions(offered: LoginOffered) -> list[str]:
    """The same in words. The address is not to be redacted: it holds a public key, no token."""
    if offered.opened:
        lines = ["Log in with the browser window that opens now, or open this address:"]
    else:
        lines = ["Open this address in a browser, and log in there:"]
    lines += ["", offered.url, ""]
    if offered.tunnel is not None:
        lines += [
            f"The browser has to reach port {offered.port} of this machine. From another one, run",
            *("this there first:", "", offered.tunnel, ""),
        ]
    return lines
