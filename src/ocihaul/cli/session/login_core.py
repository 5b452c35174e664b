"""Start logins from the command line; each function imports what it needs.

Tests replace these functions.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ocihaul.config import Settings
from ocihaul.events import Listener, Notice

if TYPE_CHECKING:
    # They import cryptography and more, which only some commands need.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from ocihaul.session.credential import CredentialProvider, SessionToken
    from ocihaul.session.login.profile_files import NewSession
    from ocihaul.transport.message import StopSign


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
    listener: Listener,
    stop: threading.Event,
) -> "SessionToken":
    """Mint a token for a public key, signed for by the profile of `signer`."""
    from ocihaul.clock import ServerClock
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
