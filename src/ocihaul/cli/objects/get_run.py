"""One download, seen by the person who started it: signals and progress. stdout is for data."""

from collections.abc import Callable

from ocihaul.cli import client
from ocihaul.cli.cluster import cluster_of
from ocihaul.cli.exit_codes import DONE
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.transfer_run import TransferRun, run_transfer
from ocihaul.transfer.download.request import DownloadRequest


def run_get(
    invocation: Invocation, build: Callable[[], DownloadRequest], *, command: str = "get"
) -> int:
    """Download what `build` asks for, and return the exit status."""

    def work(run: TransferRun) -> int:
        request = build()
        settings = invocation.settings()
        for text in invocation.notices(settings):
            run.notice(f"Notice: {text}")
        with cluster_of(invocation.options) as workers:
            result = client.run_download(
                settings, request, listener=run, stop=run.stop, workers=workers
            )
        run.size, run.compared = result.size, result.checked_by
        return DONE

    given = invocation.options
    target = f"{given.get('bucket_name')}/{given.get('name')}"
    return run_transfer(invocation, command, target, work)
