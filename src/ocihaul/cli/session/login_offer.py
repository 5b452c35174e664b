"""Offer a login to the person at this terminal while the session is paused (`--login auto`).

It is a login like any other: the paused session finds what it writes to the profile's files, as
every other program does that shares them. Here, too: whether there is a browser, how it is opened,
and the way in from elsewhere; `session login` uses these.
"""

import getpass
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.process import at_terminal
from ocihaul.config import Settings
from ocihaul.errors import (
    ConfigError,
    CredentialError,
    LoginError,
    OcihaulError,
    TooManyThreadsError,
    TransferCancelled,
)
from ocihaul.events import Event, Listener, LoginOffered, Notice, SessionPaused, SessionResumed
from ocihaul.threads import Either, started

if TYPE_CHECKING:
    from ocihaul.config.resolve import LoginPage
    from ocihaul.session.login.profile_files import NewSession
    from ocihaul.session.login.profile_paths import ProfilePaths


class LoginOffer:
    """A listener that begins a login when the session pauses.

    There is one at a time. It ends with the pause, however that ends, and with `stop`. After a
    refusal, and where no login is possible, there is no other one during this pause.
    """

    def __init__(
        self,
        settings: Settings,
        say: Listener,
        stop: threading.Event,
        *,
        environ: Mapping[str, str],
        home: Path,
    ) -> None:
        self._settings = settings
        self._say = say
        self._stop = stop
        self._environ = environ
        self._home = home
        self._lock = threading.Lock()  # guards the fields below
        self._said: str | None = None
        self._pause: threading.Event | None = None  # set when the pause has ended
        self._refused_until: float | None = None

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread. Events of one pause have one `until`."""
        if isinstance(event, SessionPaused):
            with self._lock:
                if self._pause is not None or event.until == self._refused_until:
                    return
                self._pause = pause = threading.Event()
            work = threading.Thread(
                target=self._run, args=[event.until, pause], name="login", daemon=True
            )
            if not started(work):
                with self._lock:
                    self._pause = None
                self._tell(TooManyThreadsError("no thread can be started for a login"))
        elif isinstance(event, SessionResumed):
            with self._lock:
                if self._pause is not None:
                    self._pause.set()
                self._said = None

    def _run(self, until: float, pause: threading.Event) -> None:
        again = False
        try:
            self._log_in(until, Either(pause, self._stop))
        except TransferCancelled:
            again = True  # the pause has ended; there may be another one
        except (ConfigError, CredentialError, LoginError) as error:
            self._tell(error)
        except OcihaulError as error:
            again = True  # the port is taken, which passes
            self._tell(error)
        finally:
            with self._lock:
                self._pause = None
                self._refused_until = None if again else until

    def _log_in(self, until: float, stop: threading.Event) -> None:
        from ocihaul.cli.session.login import run_browser_login
        from ocihaul.config.resolve import callback_port
        from ocihaul.session.login.browser_login import PORT
        from ocihaul.session.login.profile_files import replace_session

        if not at_terminal():
            raise ConfigError("there is no terminal here, so no login is offered")
        place, page = self._place(), self._page()
        session = run_browser_login(
            page.endpoint,
            tenancy_name=None,
            identity_provider_name=None,
            port=callback_port(None, self._environ) or PORT,
            timeout=max(until - time.time(), 1.0),
            show=self._show,
            warn=lambda text: self._say(Notice(text)),
            stop=stop,
        )
        self._check_tenancy(session)
        replace_session(place, session, passphrase=self._settings.passphrase)

    def _place(self) -> "ProfilePaths":
        from ocihaul.session.login.profile_paths import present_paths

        settings = self._settings
        if settings.config_file is None or settings.token_file is None:
            raise ConfigError("the profile is not in a config file")
        return present_paths(
            settings.profile,
            config_file=settings.config_file,
            token_file=settings.token_file,
            key_file=settings.key_file,
        )

    def _page(self) -> "LoginPage":
        from ocihaul.config.resolve import find_login_page
        from ocihaul.config.settings import Found

        return find_login_page(
            Found(self._settings.region or "", "the region of the profile"),
            given=None,
            dual_stack=self._settings.dual_stack,
            plain_http=self._settings.plain_http,
            environ=self._environ,
            home=self._home,
        )

    def _check_tenancy(self, session: "NewSession") -> None:
        ours, theirs = self._settings.tenancy, session.token.tenancy
        if ours and theirs and ours != theirs:
            raise LoginError(
                f"that was a login to the tenancy {theirs}, but the profile "
                f"{self._settings.profile} is of {ours}"
            )

    def _show(self, url: str, port: int) -> None:
        offered = offer(url, port, self._environ)
        self._say(offered)
        if offered.opened:
            open_page(url)

    def _tell(self, error: OcihaulError) -> None:
        what = in_flags(error.message)
        text = f"--login auto: {what}. A login in another window is still noticed."
        with self._lock:
            said, self._said = self._said, text
        if text != said:
            self._say(Notice(text))


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

    # Where there may be no more threads the person opens the page: its address is shown.
    started(threading.Thread(target=webbrowser.open_new, args=[url], name="browser", daemon=True))


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
