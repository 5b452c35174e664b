"""A download in a process of its own, in small ranges: to be killed.

Arguments: config, endpoint, object name, target, range size in bytes, ranges in flight.
"""

import sys
import threading
from pathlib import Path

from ocihaul.config import Flags, resolve
from ocihaul.connect import open_storage
from ocihaul.events import ignore
from ocihaul.transfer.downloads.download import download
from ocihaul.transfer.downloads.request import DownloadRequest


def main() -> None:
    """Download, going on with what an earlier run has finished."""
    config, endpoint, name, target, part_size, parallel = sys.argv[1:]
    flags = Flags(
        config_file=config, auth="security_token", endpoint=endpoint, auth_endpoint=endpoint
    )
    stop = threading.Event()
    request = DownloadRequest(
        namespace="ns1",
        bucket="backups",
        name=name,
        target=Path(target),
        part_size=int(part_size),
        threshold=int(part_size),
        parallel=int(parallel),
    )
    with open_storage(resolve(flags, {}, Path.home()), ignore, stop) as storage:
        download(storage, request, stop=stop)


if __name__ == "__main__":
    main()
