"""Commands that begin a work request: they show its id, or its state at the end of a wait."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.exit_codes import DONE
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.objects.copy import SECONDS, STATES, TIMED_OUT, outcome, wait_for_work

if TYPE_CHECKING:
    from ocihaul.storage.client import StorageClient

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def wait_options(decorated: Decorated) -> Decorated:
    """The options that say for which state to wait, and how long."""
    for add in (
        click.option("--wait-interval-seconds", type=SECONDS, help="How often to look. [30]"),
        click.option("--max-wait-seconds", type=SECONDS, help="How long to wait at most. [1200]"),
        click.option(
            "--wait-for-state",
            multiple=True,
            type=click.Choice(STATES, case_sensitive=False),
            help="Wait until the work request is in (one of) these states.",
        ),
    ):
        decorated = add(decorated)
    return decorated


def waited(
    invocation: Invocation,
    storage: "StorageClient",
    headers: Mapping[str, str],
    stop: threading.Event,
) -> tuple[dict[str, Any] | None, int]:
    """What is printed of the work request that `headers` name, and the exit status."""
    from ocihaul.cli.objects.official_json import described, work_request

    given = invocation.options["wait_for_state"] or ()
    wanted = [each.upper() for each in ([given] if isinstance(given, str) else given)]
    work_id = headers.get("opc-work-request-id")
    if not wanted or not work_id:
        return described(None, headers), DONE
    states = ", ".join(wanted)
    invocation.tell(f"Action completed. Waiting until the work request has entered state: {states}")
    work = wait_for_work(storage, work_id, wanted, invocation.options, stop)
    code = outcome(work, wanted)
    if code == TIMED_OUT:
        text = "Failed to wait until the work request entered the specified state."
        invocation.tell(f"{text} Outputting last known resource state")
    return described(work_request(work), {}), code
