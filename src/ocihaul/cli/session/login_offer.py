"""Offer a login to the person at this terminal while the session is paused (`--login auto`).

It is a login like any other: the paused session finds what it writes to the profile's files, as
every other program does that shares them.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocihaul.cli.environment import at_terminal
from ocihaul.cli.flags import in_flags
from ocihaul.config import Settings
from ocihaul.errors import (
    ConfigError,
    CredentialError,
    LoginError,
    OcihaulError,
    TransferCancelled,
)
from ocihaul.events import Event, Listener, Notice, SessionPaused, SessionResumed

if TYPE_CHECKING:
    from ocihaul.config.login import LoginPage
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
        self._pause: _PauseStop | None = None
        self._refused_until: float | None = None

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread. Events of one pause have one `until`."""
        if isinstance(event, SessionPaused):
            with self._lock:
                if self._pause is not None or event.until == self._refused_until:
                    return
                self._pause = pause = _PauseStop(self._stop)
            work = threading.Thread(
                target=self._run, args=[event.until, pause], name="login", daemon=True
            )
            work.start()
        elif isinstance(event, SessionResumed):
            with self._lock:
                if self._pause is not None:
                    self._pause.set()
                self._said = None

    def _run(self, until: float, pause: "_PauseStop") -> None:
        again = False
        try:
            self._log_in(until, pause)
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

    def _log_in(self, until: float, pause: "_PauseStop") -> None:
        from ocihaul.cli.session import login_core
        from ocihaul.config.login import callback_port
        from ocihaul.session.login.browser_login import PORT
        from ocihaul.session.login.profile_files import replace_session

        if not at_terminal():
            raise ConfigError("there is no terminal here, so no login is offered")
        place, page = self._place(), self._page()
        session = login_core.run_browser_login(
            page.endpoint,
            tenancy_name=None,
            identity_provider_name=None,
            port=callback_port(None, self._environ) or PORT,
            timeout=max(until - time.time(), 1.0),
            show=self._show,
            warn=lambda text: self._say(Notice(text)),
            stop=pause,
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
        from ocihaul.config.login import find_login_page
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
        from ocihaul.cli.session.browser import offer, open_page

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


class _PauseStop:
    """Says stop when the pause has ended, or when the command is told to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._pause = threading.Event()

    def set(self) -> None:
        """Note that the pause has ended."""
        self._pause.set()

    def is_set(self) -> bool:
        """Return whether to give up."""
        return self._pause.is_set() or self._stop.is_set()
