"""One download, seen by the person who started it: signals and progress. stdout is for data."""

from ocihaul.cli import client
from ocihaul.cli.exit_codes import DONE
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.signals import stopping
from ocihaul.transfer.download.request import DownloadRequest


def run_get(invocation: Invocation, request: DownloadRequest) -> int:
    """Download, and return the exit status."""
    settings = invocation.settings()
    with stopping() as stopper, client.reporting_on(invocation, settings) as (listener, _):
        client.run_download(settings, request, listener=listener, stop=stopper.stop)
    return DONE
