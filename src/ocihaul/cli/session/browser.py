"""The browser for a login: detect it, open it, or describe a tunnel from another machine."""

import getpass
import socket
import sys
import threading
from collections.abc import Mapping

from ocihaul.events import LoginOffered


def has_browser(environ: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Return whether a browser that this process opens is visible to its user.

    BROWSER means yes. A shell over ssh has none, unless a display is forwarded.
    """
    if environ.get("BROWSER"):
        return True
    display = any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if is_remote(environ):
        return display
    return display or platform in {"darwin", "win32"}


def is_remote(environ: Mapping[str, str]) -> bool:
    """Return whether this is a shell over ssh."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def open_page(url: str) -> None:
    """Open `url` without waiting: a text browser returns only when it is closed."""
    import webbrowser

    threading.Thread(target=webbrowser.open_new, args=[url], name="browser", daemon=True).start()


def tunnel_line(port: int, environ: Mapping[str, str]) -> str:
    """Return the command that forwards `port` of the browser's machine to this one."""
    parts = environ.get("SSH_CONNECTION", "").split()
    host = parts[2] if len(parts) == 4 else socket.gethostname()
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        user = "user"
    return f"ssh -L {port}:127.0.0.1:{port} {user}@{host}"


def offer(url: str, port: int, environ: Mapping[str, str]) -> LoginOffered:
    """Return how to reach the login at `url`, which waits at `port` of this machine."""
    here = has_browser(environ)
    tunnel = tunnel_line(port, environ) if is_remote(environ) or not here else None
    return LoginOffered(url, port, here, tunnel)


def directions(offered: LoginOffered) -> list[str]:
    """Return the same as text, unredacted: the address contains a public key and no token."""
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
