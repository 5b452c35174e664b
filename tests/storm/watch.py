"""Every object that has ever become visible, also between two looks of the storm."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import crc32c

from ocihaul.emulator import ApiError, Emulator, LogEntry
from tests.storm.pieces import name_of

_WRITES = {"PutObject", "CommitMultipartUpload"}


@dataclass
class Watch:
    """Hears of each request and notes which bytes have a name now. Thread-safe."""

    oci: Emulator | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards the next one
    _seen: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def __call__(self, entry: LogEntry) -> None:
        """After each request; what replaced it meanwhile is seen instead."""
        if entry.operation not in _WRITES or self.oci is None:
            return
        name = name_of(entry)
        try:
            info = self.oci.object_info("backups", name)
        except ApiError:
            return  # refused, and there was none before
        with self._lock:
            self._seen[name, info.etag] = (info.size, info.crc32c)

    def wrong(self, wanted: Mapping[str, bytes], old: Mapping[str, bytes]) -> Iterator[str]:
        """Objects of these names that were neither the old nor the new bytes; each is told once."""
        with self._lock:
            seen = {key: value for key, value in self._seen.items() if key[0] in wanted}
            for key in seen:
                del self._seen[key]
        for (name, _), was in seen.items():
            right = {
                (len(data), crc32c.crc32c(data))
                for data in (wanted[name], old.get(name))
                if data is not None
            }
            if was not in right:
                yield f"{name} was visible with other bytes"
