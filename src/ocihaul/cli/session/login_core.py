"""The seam between the command line and logins: each function imports what it starts.

Tests replace these functions; see `core` for the same about transfers.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ocihaul.config import Settings
from ocihaul.events import Listener, Notice

if TYPE_CHECKING:
    # They bring cryptography and more along, which only some commands need.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from ocihaul.session.credential import CredentialProvider
    from ocihaul.session.login.profile_files import NewSession
    from ocihaul.session.token import SessionToken
    from ocihaul.wire.message import StopSign


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
    """Log in by way of a browser; `show` gets the address to open and the port that waits."""
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
    """A token for a public key, signed for by the profile that `signer` holds."""
    from ocihaul.clock import ServerClock
    from ocihaul.session.factory import open_api_key, open_api_key_provider
    from ocihaul.session.providers import mint_or_raise
    from ocihaul.session.session import Session

    clock = ServerClock(listener=listener)
    if signer.auth == "api_key":
        authority: CredentialProvider = open_api_key(signer)
    else:
        authority = Session.from_settings(signer, clock=clock, stop=stop)
    minter = open_api_key_provider(
        signer, signer=authority, minutes=minutes, clock=clock, stop=stop
    )
    token, note = mint_or_raise(minter, public_key, timeout=signer.read_timeout)
    if note:
        listener(Notice(note))
    return token
