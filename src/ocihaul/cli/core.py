"""The seam between the command line and the work: each function imports what it starts.

Tests replace these functions; nothing else in `cli/` touches the core's machinery.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from ocihaul.config import SDK_AUTH, Settings
from ocihaul.events import Event, Listener, Notice, ignore
from ocihaul.transfer.request import Confirm, UploadRequest, UploadResult

if TYPE_CHECKING:
    # They bring cryptography and more along, which only some commands need.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from ocihaul.session.credential import Authority
    from ocihaul.session.profile_files import NewSession
    from ocihaul.session.token import SessionToken
    from ocihaul.storage.client import StorageClient
    from ocihaul.transfer.journal import Journal


def run_upload(
    settings: Settings,
    request: UploadRequest,
    *,
    listener: Listener,
    confirm: Confirm | None,
    stop: threading.Event,
) -> UploadResult:
    """Upload one file; asks the service for the namespace if the request has none."""
    from ocihaul.cli.foretelling import Foreteller
    from ocihaul.transfer.pace import Pace
    from ocihaul.transfer.upload import upload

    wishes = settings.wishes
    foreteller = Foreteller(
        listener,
        mints=wishes.renew_with,
        expected_rate=wishes.expected_rate,
        monotonic=time.monotonic,
        now=time.time,
    )

    pace = Pace() if request.adaptive else None

    def tell(event: Event) -> None:
        listener(event)
        foreteller(event)
        if pace is not None:
            pace(event)

    with (
        journal_for(listener) as journal,
        storage_for(settings, listener=tell, stop=stop) as storage,
    ):
        if not request.namespace:
            request = replace(request, namespace=storage.get_namespace())
        return upload(
            storage,
            request,
            listener=tell,
            confirm=confirm,
            stop=stop,
            before=foreteller.require if wishes.require_session else None,
            journal=journal,
            pace=pace,
        )


@contextmanager
def storage_for(
    settings: Settings, *, listener: Listener, stop: threading.Event
) -> Iterator["StorageClient"]:
    """A storage client on whatever signs for these settings, with the hook for parks."""
    from ocihaul.cli.parking import ParkHook
    from ocihaul.connect import open_storage

    authority = None
    if settings.auth in SDK_AUTH:
        from ocihaul.adapters.principals import open_principal, settled

        authority = open_principal(settings)
        settings = settled(settings, authority)
    command = settings.wishes.on_park
    hook = ParkHook(command, listener) if command else ignore

    def tell(event: Event) -> None:
        listener(event)
        hook(event)

    with open_storage(settings, tell, stop, authority=authority) as storage:
        yield storage


def journal_for(listener: Listener) -> AbstractContextManager["Journal | None"]:
    """The user's journal; without one an upload still works, but is not gone on with."""
    from ocihaul.errors import JournalError
    from ocihaul.transfer.journal import Journal, state_directory

    try:
        return Journal(state_directory())
    except JournalError as error:
        text = f"An interrupted upload will begin anew: {error.message}. {error.hint}"
        listener(Notice(text))
        return nullcontext()


def run_emulator(args: list[str]) -> int:
    """Run the emulator with its own options; returns its exit status."""
    from ocihaul.emulator.cli import main

    return main(args)


def run_browser_login(
    page: str,
    *,
    tenancy_name: str | None,
    identity_provider_name: str | None,
    port: int,
    timeout: float,
    show: Callable[[str, int], None],
    warn: Callable[[str], None],
    stop: threading.Event,
) -> "NewSession":
    """Log in by way of a browser; `show` gets the address to open and the port that waits."""
    from ocihaul.session.login import BrowserLogin

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
    from ocihaul.session.minting import mint_or_raise
    from ocihaul.session.opening import open_api_key, open_minter, open_session

    clock = ServerClock(listener=listener)
    if signer.auth == "api_key":
        authority: Authority = open_api_key(signer)
    else:
        authority = open_session(signer, clock=clock, stop=stop)
    minter = open_minter(signer, signer=authority, minutes=minutes, clock=clock, stop=stop)
    token, note = mint_or_raise(minter, public_key, timeout=signer.read_timeout)
    if note:
        listener(Notice(note))
    return token
