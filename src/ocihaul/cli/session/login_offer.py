"""The login itself, offered to the person at this terminal while the session is parked.

What belongs here: when to offer it, and what is said of it. It is a login like any other: what it
writes to the profile's files is found there by the parked session, as by everybody who shares it.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocihaul.cli.foretelling import Say
from ocihaul.cli.surroundings import at_terminal
from ocihaul.config import Settings
from ocihaul.errors import (
    ConfigError,
    CredentialError,
    LoginFailed,
    OcihaulError,
    TransferCancelled,
)
from ocihaul.events import Event, Notice, Parked, Unparked

if TYPE_CHECKING:
    from ocihaul.config.login import LoginPage
    from ocihaul.session.profile_files import NewSession
    from ocihaul.session.profile_place import ProfilePlace


class LoginOffer:
    """A listener that begins a login when the session parks (`--login auto`).

    There is one at a time. It ends with the park, however that ends, and with `stop`. A person who
    says no, and a place where there can be no login, are not asked again for this park.
    """

    def __init__(
        self,
        settings: Settings,
        say: Say,
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
        self._lock = threading.Lock()  # guards all below
        self._said: str | None = None
        self._over: _Over | None = None
        self._refused_until: float | None = None

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread. A park says Parked more than once, with one `until`."""
        if isinstance(event, Parked):
            with self._lock:
                if self._over is not None or event.until == self._refused_until:
                    return
                self._over = over = _Over(self._stop)
            work = threading.Thread(
                target=self._run, args=[event.until, over], name="login", daemon=True
            )
            work.start()
        elif isinstance(event, Unparked):
            with self._lock:
                if self._over is not None:
                    self._over.set()
                self._said = None

    def _run(self, until: float, over: "_Over") -> None:
        again = False
        try:
            self._log_in(until, over)
        except TransferCancelled:
            again = True  # the park is over; there may be another one
        except (ConfigError, CredentialError, LoginFailed) as error:
            self._tell(error)
        except OcihaulError as error:
            again = True  # the port is taken, which passes
            self._tell(error)
        finally:
            with self._lock:
                self._over = None
                self._refused_until = None if again else until

    def _log_in(self, until: float, over: "_Over") -> None:
        from ocihaul.cli.session import login_core
        from ocihaul.config.login import callback_port
        from ocihaul.session.login import PORT
        from ocihaul.session.profile_files import replace_session

        if not at_terminal():
            raise ConfigError("there is no terminal here, so nobody is asked")
        place, page = self._place(), self._page()
        session = login_core.run_browser_login(
            page.endpoint,
            tenancy_name=None,
            identity_provider_name=None,
            port=callback_port(None, self._environ) or PORT,
            timeout=max(until - time.time(), 1.0),
            show=self._show,
            warn=lambda text: self._say(Notice(text)),
            stop=over,
        )
        self._check_tenancy(session)
        replace_session(place, session, passphrase=self._settings.passphrase)

    def _place(self) -> "ProfilePlace":
        from ocihaul.session.profile_place import present_place

        settings = self._settings
        if settings.config_file is None or settings.token_file is None:
            raise ConfigError("the profile does not stand in a config file")
        return present_place(
            settings.profile,
            config_file=settings.config_file,
            token_file=settings.token_file,
            key_file=settings.key_file,
        )

    def _page(self) -> "LoginPage":
        from ocihaul.config.found import Found
        from ocihaul.config.login import find_login_page

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
            raise LoginFailed(
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
        text = f"--login auto: {error.message}. A login in another window is still taken up."
        with self._lock:
            said, self._said = self._said, text
        if text != said:
            self._say(Notice(text))


class _Over:
    """Says stop when the park is over, or when the command is told to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._over = threading.Event()

    def set(self) -> None:
        """The park is over."""
        self._over.set()

    def is_set(self) -> bool:
        """Whether to give up."""
        return self._over.is_set() or self._stop.is_set()
