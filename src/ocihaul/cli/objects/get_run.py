"""One download, seen by the person who started it: signals and progress. stdout is for data."""

from ocihaul.cli import core
from ocihaul.cli.exit_codes import DONE
from ocihaul.cli.invocation import Invocation, is_terminal
from ocihaul.cli.progress import reporting
from ocihaul.cli.signals import stopping
from ocihaul.transfer.download.request import DownloadRequest


def run_get(invocation: Invocation, request: DownloadRequest) -> int:
    """Download, and return the exit status."""
    settings, stderr = invocation.settings(), invocation.stderr
    with (
        stopping() as stopper,
        reporting(stderr, terminal=is_terminal(stderr), debug=invocation.given.debug) as (
            listener,
            reporter,
        ),
    ):
        for text in invocation.notices(settings):
            reporter.notice(f"Notice: {text}")
        core.run_download(settings, request, listener=listener, stop=stopper.stop)
    return DONE
