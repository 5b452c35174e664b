"""An upload in a process of its own that measures itself, part by part; it may stop before the end.

Arguments: config, endpoint, source, where the figures go, parts in flight, parts to stop after (0:
never). The figures are JSON: of each part that is there, memory held by the process then (bytes),
and the seconds that the journal took for it; and what was said.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ocihaul.client import Client
from ocihaul.config import Flags, resolve
from ocihaul.errors import TransferCancelled
from ocihaul.events import Event, Notice, PartFinished
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.journal import Entry, Journal, state_directory
from ocihaul.transfer.upload.request import IfExists, UploadRequest
from ocihaul.transfer.upload.upload import upload


class Timed(Journal):
    """A journal that knows how long each part took to be written."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.seconds: list[float] = []

    def record(self, entry: Entry, parts: Mapping[int, SentPart], *more: Any) -> None:
        started = time.perf_counter()
        super().record(entry, parts, *more)
        self.seconds.append(time.perf_counter() - started)


def held() -> int:
    """Bytes of memory that this process has now; Linux tells it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Upload, going on with what an earlier run has finished."""
    config, endpoint, source, figures, parallel, stop_after = sys.argv[1:]
    flags = Flags(
        config_file=config, auth="security_token", endpoint=endpoint, auth_endpoint=endpoint
    )
    stop = threading.Event()
    memory: list[int] = []
    said: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            said.append(event.text)
        if isinstance(event, PartFinished):
            memory.append(held())
            if len(memory) == int(stop_after):
                stop.set()

    request = UploadRequest(
        source=Path(source),
        namespace="ns1",
        bucket="backups",
        name="x",
        existing=IfExists.REPLACE,
        parallel=int(parallel),
    )
    part_count = None
    with (
        Client(resolve(flags, {}, Path.home()), listener=listen, cancel=stop) as client,
        Timed(state_directory()) as journal,
    ):
        try:
            result = upload(client.storage, request, listener=listen, stop=stop, journal=journal)
            part_count = result.part_count
        except TransferCancelled:
            pass
    told = {
        "memory": memory,
        "journal": journal.seconds,
        "said": said,
        "part-count": part_count,
    }
    Path(figures).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
