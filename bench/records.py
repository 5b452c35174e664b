"""What arrived at the sink, for its other processes and for whoever checks.

All of them share one file that only grows, a line of JSON for an object: a file of its own for each
would cost more than all else that the sink does for a small one.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

_CHUNK = 2**20
#: A line that says that all before it is forgotten.
_FORGET = "forget"


class Records:
    """Objects by (bucket, name), with the fields noted of each. Thread-safe.

    Open it after a fork, or leave the reading to one of the processes.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._lock = threading.Lock()  # guards all below
        self._known: dict[tuple[str, str], dict[str, object]] = {}
        self._offset = 0
        self._rest = b""

    def add(self, bucket: str, name: str, fields: Mapping[str, object]) -> None:
        """Note an object; the same one again replaces it."""
        self._append([bucket, name, fields])

    def forget(self) -> None:
        """From here on there are no objects."""
        self._append(_FORGET)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def find(self, bucket: str, name: str) -> dict[str, object] | None:
        """The fields of one; None when there is no such object."""
        with self._lock:
            self._read_on()
            return self._known.get((bucket, name))

    def all(self) -> list[dict[str, object]]:
        """The fields of all."""
        with self._lock:
            self._read_on()
            return list(self._known.values())

    def _append(self, line: object) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")  # one call: whole lines

    def _read_on(self) -> None:
        while data := os.pread(self._file, _CHUNK, self._offset):
            self._offset += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in map(json.loads, lines):
                if line == _FORGET:
                    self._known.clear()
                else:
                    bucket, name, fields = line
                    self._known[bucket, name] = fields
