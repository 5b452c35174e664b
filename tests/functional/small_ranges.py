"""A download in a process of its own, in small ranges: to be killed.

Arguments: config, endpoint, object name, target, range size in bytes, ranges in flight.
"""

import sys
import threading
from pathlib import Path

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.transfer.download.download import download
from ocihaul.transfer.download.request import DownloadRequest


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
    with Client(resolve(flags, {}, Path.home()), cancel=stop) as client:
        download(client.storage, request, stop=stop)


if __name__ == "__main__":
    main()
