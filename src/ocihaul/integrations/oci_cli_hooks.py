"""The one place where the official CLI is joined to our session.

`oci_cli.cli_util.get_session_token_signer(client_config)` is what every command calls to get its
signer for `--auth security_token`; it also holds the prompt to log in again. For the length of a
run it is replaced by ours. Nothing else is: our signer mends a 401 by itself, so neither the retry
strategies nor the transfer code have to know.

That function belongs to somebody else. So it is looked at before a command is run on it: a CLI
that has moved on must end in an error, never in a command without the session.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ocihaul.errors import UsageError
from ocihaul.integrations.extras import OCI_CLI, installing, versions

_SEAM = "get_session_token_signer"
_CALLER = "create_config_and_signer_based_on_click_context"

#: Makes a signer from the configuration that the official CLI has put together.
MakeSigner = Callable[[dict[str, Any]], Any]


@contextmanager
def joined(make_signer: MakeSigner) -> Iterator[None]:
    """Let the official CLI, already imported, take its signers from `make_signer`.

    Raises UsageError that names the versions when the CLI has no such seam.
    """
    from oci_cli import cli_util

    check(cli_util)
    original = getattr(cli_util, _SEAM)
    setattr(cli_util, _SEAM, make_signer)
    try:
        yield
    finally:
        setattr(cli_util, _SEAM, original)


def check(cli_util: Any) -> None:
    """Raise UsageError unless the seam is there, takes one argument, and is looked up late."""
    seam, caller = getattr(cli_util, _SEAM, None), getattr(cli_util, _CALLER, None)
    problem = None
    if not callable(seam):
        problem = f"there is no {_SEAM}"
    elif list(inspect.signature(seam).parameters) != ["client_config"]:
        problem = f"{_SEAM} takes other arguments"
    elif _SEAM not in getattr(getattr(caller, "__code__", None), "co_names", ()):
        problem = f"{_CALLER} does not call {_SEAM}"
    if problem is not None:
        raise UsageError(
            f"this official CLI cannot be run on our session: in {cli_util.__name__} {problem} "
            f"({versions()})",
            hint=f"Install one that was tested, with: {installing(OCI_CLI)}; or keep the "
            "session alive from outside, with: ocihaul session keep",
        )
