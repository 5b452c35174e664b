"""An upload in a process of its own, in parts smaller than the service allows: to be killed.

Arguments: config, endpoint, source, object name, part size in bytes, parts in flight.
"""

import sys
import threading
from pathlib import Path

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.transfer.journal.journal import Journal, state_directory
from ocihaul.transfer.plan import ServiceLimits
from ocihaul.transfer.upload.request import IfExists, UploadRequest
from ocihaul.transfer.upload.upload import upload


def main() -> None:
    """Upload, resuming what an earlier run has finished."""
    config, endpoint, source, name, part_size, parallel = sys.argv[1:]
    flags = Flags(
        config_file=config, auth="security_token", endpoint=endpoint, auth_endpoint=endpoint
    )
    stop = threading.Event()
    request = UploadRequest(
        source=Path(source),
        namespace="ns1",
        bucket="backups",
        name=name,
        existing=IfExists.ASK,
        part_size=int(part_size),
        parallel=int(parallel),
        limits=ServiceLimits(smallest_part=1),
    )
    with Client(resolve(flags, {}, Path.home()), cancel=stop) as client:
        upload(client.storage, request, stop=stop, journal=Journal(state_directory()))


if __name__ == "__main__":
    main()
