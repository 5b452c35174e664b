"""`session login`: a new session, by browser or minted with an API key, in the profile's files."""

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.global_options import Given, global_options
from ocihaul.cli.process import at_terminal, environment_and_home
from ocihaul.cli.session import say_notice
from ocihaul.cli.signals import confirm, prompt
from ocihaul.config import Flags, Settings
from ocihaul.config.ini import path_exists
from ocihaul.errors import UsageError

if TYPE_CHECKING:
    # They import cryptography and more, which only some commands need.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from ocihaul.config.settings import Found
    from ocihaul.events import Listener
    from ocihaul.session.credential import CredentialProvider, SessionToken
    from ocihaul.session.login.profile_files import NewSession
    from ocihaul.session.login.profile_paths import ProfilePaths
    from ocihaul.threads import StopSign

    #: Opens the session; stops early when the event is set.
    Opener = Callable[[threading.Event], NewSession]


_AUTHENTICATE = ("session", "authenticate")


@click.command("login")
@click.option(
    "--profile-name",
    help="The profile to make or to renew. [that of --profile or OCI_CLI_PROFILE; without a "
    "config file DEFAULT; else you are asked]",
)
@click.option("--tenancy-name", help="The tenancy to log in to, so that the page need not ask.")
@click.option("--identity-provider-name", help="The identity provider to log in with.")
@click.option("--config-location", help="The config file to write. [~/.oci/config]")
@click.option("--token-location", help="The directory for key and token. [~/.oci/sessions]")
@click.option(
    "--no-browser", is_flag=True, help="Mint with an API key: of --renew-with, or of --profile."
)
@click.option(
    "--public-key-file-path",
    help="With --no-browser: the public key of a pair of yours, instead of a new pair.",
)
@click.option("--use-passphrase", is_flag=True, help="Protect the new key with a passphrase.")
@click.option("--timeout", help="How long to wait for the browser. [5m]")
@click.option("--login-endpoint", help="Base URL of the login page. [OCIHAUL_LOGIN_ENDPOINT]")
@click.option(
    "--callback-port",
    type=click.IntRange(1, 65535),
    help="The port of 127.0.0.1 that the login page leads back to. "
    "[OCIHAUL_CALLBACK_PORT, 8181: OCI knows no other]",
)
@click.option("--force", is_flag=True, help="Replace the settings of an API key, if it has some.")
@global_options(hidden=True)
@click.pass_context
def login(context: click.Context, /, **options: Any) -> None:
    """Open a session: log in with a browser, or mint it with an API key (--no-browser).

    Writes a new key, the token and the profile's section, where the official CLI reads them too. A
    transfer that waits for a login goes on by itself.
    """
    given = context.ensure_object(Given)
    _fill_in(context, given, options)
    raise click.exceptions.Exit(_Login(given, options).run())


def _fill_in(context: click.Context, given: Given, options: dict[str, Any]) -> None:
    """Defaults of the rc file for what is not on the command line."""
    from ocihaul.cli.options import Defaults
    from ocihaul.config import load_rc, profile_name

    environ, home = environment_and_home()
    rc = load_rc(given.flags(), environ, home)
    defaults = Defaults(rc, profile_name(given.flags(), environ, rc), _AUTHENTICATE)
    for option in context.command.params:
        name = option.name or ""
        source = context.get_parameter_source(name)
        if (
            isinstance(option, click.Option)
            and name in options
            and source is not click.core.ParameterSource.COMMANDLINE
        ):
            options[name], _ = defaults.value(option)


@dataclass(frozen=True, slots=True)
class _Passphrase:
    """Protects the new key; `keep` writes it into the profile."""

    text: str | None = None
    keep: bool = False

    def __repr__(self) -> str:
        return "_Passphrase()"


class _Login:
    """One run of the command: everything is asked and checked before the browser is."""

    def __init__(self, given: Given, options: Mapping[str, Any]) -> None:
        self.environ, self.home = environment_and_home()
        self.flags: Flags = given.flags()
        self.options = options
        self.notices = given.notices()
        self.terminal = at_terminal()
        self._mints = bool(options["no_browser"])

    def run(self) -> int:
        """Open the session, write it, tell about it."""
        from ocihaul.cli.signals import stopping
        from ocihaul.session.login.profile_files import write_session
        from ocihaul.session.login.profile_paths import prepare

        place = self._place()
        # Every question comes before `stopping`, where Ctrl-C would not end one.
        region, open_session = self._minted(place) if self._mints else self._browsed(place)
        passphrase = self._passphrase(place)
        prepare(place)
        for text in self.notices:
            say_notice(text)
        with stopping() as stopper:
            session = open_session(stopper.stop)
        write_session(
            place,
            session,
            tenancy=session.token.tenancy,
            region=region,
            passphrase=passphrase.text,
            keep_passphrase=passphrase.keep,
        )
        self._tell(place, session)
        return 0

    # What is known beforehand

    def _place(self) -> "ProfilePaths":
        from ocihaul.config.resolve import login_config_file
        from ocihaul.config.sources import expand_home
        from ocihaul.session.login.profile_paths import find_paths, is_api_key_profile

        given = self.options["config_location"]
        config_file = login_config_file(self.flags, self.environ, self.home, given=given)
        location = self.options["token_location"]
        profile = self._profile(config_file)
        place = find_paths(
            profile,
            config_file=config_file,
            token_location=expand_home(location, self.home) if location else None,
            home=self.home,
        )
        if not self.options["force"] and is_api_key_profile(config_file, profile):
            self._ask_to_replace(place)
        return place

    def _profile(self, config_file: Path) -> str:
        """The profile to write; with --no-browser alone, --profile names the one that signs."""
        signs = self._mints and not self._renew_with()
        name: str | None = self.options["profile_name"]
        if not name and not signs:
            name = self.flags.profile or self.environ.get("OCI_CLI_PROFILE")
        if name:
            return name
        if not path_exists(config_file):
            return "DEFAULT"
        if self.terminal:
            return prompt("The name of the profile for the new session")
        raise UsageError(
            "--profile-name is missing, and there is no terminal to ask on",
            hint=f"Name the profile of {config_file} to make or to renew.",
        )

    def _renew_with(self) -> str | None:
        return self.flags.renew_with or self.environ.get("OCIHAUL_RENEW_WITH")

    def _ask_to_replace(self, place: "ProfilePaths") -> None:
        what = f"{place.config_file}, section [{place.profile}] holds an API key"
        question = f"{what}. Replace its settings by the session?"
        if self.terminal and confirm(question):
            return
        raise UsageError(
            f"{what}, whose settings the session would replace",
            hint="Choose another --profile-name, or say --force.",
        )

    def _region(self, place: "ProfilePaths") -> "Found":
        from ocihaul.config.resolve import login_region
        from ocihaul.config.settings import Found

        region = login_region(
            self.flags,
            self.environ,
            self.home,
            profile=place.profile,
            config_file=place.config_file,
            command=_AUTHENTICATE,
        )
        if region is not None:
            return region
        if self.terminal:
            return Found(prompt("The region, such as eu-frankfurt-1"), "the region")
        raise UsageError(
            "--region is missing, and there is no terminal to ask on",
            hint="Say --region us-ashburn-1 (or yours), or set OCI_CLI_REGION.",
        )

    def _passphrase(self, place: "ProfilePaths") -> _Passphrase:
        from ocihaul.config.ini import check_value

        if not self.options["use_passphrase"]:
            return _Passphrase()
        if self.terminal:
            text = prompt("A passphrase for the new key", secret=True)
            keep = confirm("Write it into the config file?")
            if keep:
                check_value(place.profile, "pass_phrase", text)
            return _Passphrase(text, keep)
        if passphrase := self.environ.get("OCI_CLI_PASSPHRASE"):
            return _Passphrase(passphrase)
        raise UsageError(
            "--use-passphrase: there is no terminal to ask for it on",
            hint="Put it in OCI_CLI_PASSPHRASE.",
        )

    # The two ways to a session: the region that it is for, and what opens it

    def _browsed(self, place: "ProfilePaths") -> tuple[str, "Opener"]:
        from ocihaul.config.resolve import callback_port, find_login_page
        from ocihaul.config.settings import Found, duration
        from ocihaul.session.login.browser_login import PORT

        options = self.options
        if options["public_key_file_path"]:
            raise UsageError(
                "--public-key-file-path goes with --no-browser only",
                hint="A login in the browser makes its own pair of keys.",
            )
        timeout = duration(Found(options["timeout"] or "5m", "--timeout"))
        page = find_login_page(
            self._region(place),
            given=options["login_endpoint"],
            dual_stack=self.flags.enable_dual_stack,
            plain_http=self.flags.allow_plain_http,
            environ=self.environ,
            home=self.home,
        )
        if self.flags.session_expiration_in_minutes is not None:
            self.notices.append(
                "--session-expiration-in-minutes has no effect on a login in the browser: "
                "the service decides"
            )
        if page.notice:
            self.notices.append(in_flags(page.notice))

        def open_session(stop: "threading.Event") -> "NewSession":
            return run_browser_login(
                page.endpoint,
                tenancy_name=options["tenancy_name"],
                identity_provider_name=options["identity_provider_name"],
                port=callback_port(options["callback_port"], self.environ) or PORT,
                timeout=timeout,
                show=self._show,
                warn=say_notice,
                stop=stop,
            )

        return page.region, open_session

    def _minted(self, place: "ProfilePaths") -> tuple[str, "Opener"]:
        from cryptography.hazmat.primitives.asymmetric import rsa

        from ocihaul.config.resolve import resolve_signer
        from ocihaul.config.sources import expand_home
        from ocihaul.session.login.profile_files import NewSession
        from ocihaul.session.store import read_public_key_file

        signer = resolve_signer(self.flags, self.environ, self.home, command=_AUTHENTICATE)
        self.notices += map(in_flags, signer.notices)
        key = None
        if path := self.options["public_key_file_path"]:
            public_key = read_public_key_file(expand_home(path, self.home))
        else:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            public_key = key.public_key()

        def open_session(stop: "threading.Event") -> "NewSession":
            minutes = signer.session_options.minutes
            token = run_mint(signer, public_key, minutes=minutes, listener=say_event, stop=stop)
            return NewSession(token, public_key, key)

        return signer.region or self._region(place).value, open_session

    def _show(self, url: str, port: int) -> None:
        from ocihaul.cli.session.login_offer import directions, offer, open_page

        offered = offer(url, port, self.environ)
        for text in directions(offered):
            _say(text, public=True)
        if offered.opened:
            open_page(url)

    # What a person is told

    def _tell(self, place: "ProfilePaths", session: "NewSession") -> None:
        _say(lasting(session.token))
        _say(f"Config written to: {place.config_file}")
        if session.key is None:
            _say(
                f"Put the path of your private key after key_file= in section [{place.profile}]; "
                "until then the session cannot be used."
            )
        else:
            _say(f"Use it with: --profile {place.profile} --auth security_token")


def lasting(token: "SessionToken") -> str:
    """One sentence on how long a new token and its session are good for.

    Its life is what its two claims say: the clock of this machine may be wrong.
    """
    import time

    from ocihaul.quantities import duration_text, time_text

    began = time.time() if token.issued_at is None else token.issued_at
    life = duration_text(token.expires_at - began)
    text = f"The token is good until {time_text(token.expires_at)} ({life})"
    if token.session_ends_at is not None and token.session_ends_at > token.expires_at:
        text += f", and can be renewed until {time_text(token.session_ends_at)}"
    return text + "."


def _say(text: str, *, public: bool = False) -> None:
    from ocihaul.printing import say

    say(sys.stderr, text, public=public)


def say_event(event: object) -> None:
    """What a person should hear of the core's events."""
    from ocihaul.events import ClockCorrected, Notice

    if isinstance(event, Notice):
        say_notice(event.text)
    elif isinstance(event, ClockCorrected):
        say_notice(f"the local clock is off by {-event.offset:.0f} s; the service's is used")


def run_browser_login(
    page: str,
    *,
    tenancy_name: str | None,
    identity_provider_name: str | None,
    port: int,
    timeout: float,
    show: Callable[[str, int], None],
    warn: Callable[[str], None],
    stop: "StopSign",
) -> "NewSession":
    """Log in with a browser; `show` gets the address to open and the port that waits."""
    from ocihaul.session.login.browser_login import BrowserLogin

    with BrowserLogin(
        page,
        tenancy_name=tenancy_name,
        identity_provider_name=identity_provider_name,
        port=port,
        warn=warn,
    ) as login:
        show(login.url, login.port)
        return login.wait(timeout, stop)


def run_mint(
    signer: Settings,
    public_key: "RSAPublicKey",
    *,
    minutes: int | None,
    listener: "Listener",
    stop: threading.Event,
) -> "SessionToken":
    """Mint a token for a public key, signed for by the profile of `signer`."""
    from ocihaul.clock import ServerClock
    from ocihaul.events import Notice
    from ocihaul.session.providers import mint_or_raise
    from ocihaul.session.session import Session, open_api_key, open_api_key_provider

    clock = ServerClock(listener=listener)
    if signer.auth == "api_key":
        signing: CredentialProvider = open_api_key(signer)
    else:
        signing = Session.from_settings(signer, clock=clock, stop=stop)
    provider = open_api_key_provider(
        signer, signer=signing, minutes=minutes, clock=clock, stop=stop
    )
    token, note = mint_or_raise(provider, public_key, timeout=signer.read_timeout)
    if note:
        listener(Notice(note))
    return token
