"""The checkpoint of a download: which ranges are in the file, as lines of JSON beside it.

A line is written when a range is in the file, and now and then while it comes. It is believed only
as far as the file has those bytes: after a power failure a line may be there, and the bytes it
speaks of not. It never holds a token, a key or a URL.
"""

import contextlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from typing import Any

from ocihaul.documents import read_json, read_object
from ocihaul.events import Listener, Notice
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.download.request import RangePlan

_VERSION = 1
#: The smallest ranges are of a MiB, the largest objects of 10 TiB.
_MOST_RANGES = 10 * 2**20


@dataclass(frozen=True, slots=True)
class FinishedRange:
    """A range that is in the file: the CRC32C of its bytes, and the MD5 of each block of it."""

    crc32c: bytes
    blocks: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class BegunRange:
    """A range of which so many bytes, from its start, are in the file; and their CRC32C."""

    length: int
    crc32c: bytes


class DownloadCheckpoint:
    """The finished ranges of one download, and how far the others are. Thread-safe.

    A checkpoint that cannot be written costs the resumption, not the download.
    """

    def __init__(self, place: Place, name: str, listener: Listener) -> None:
        self._place = place
        self._name = name
        self._listener = listener
        self._lock = threading.Lock()  # guards the two below
        self._broken = False
        self._descriptor: int | None = None

    def load(
        self, etag: str | None, size: int
    ) -> tuple[RangePlan, dict[int, FinishedRange], dict[int, BegunRange]]:
        """The plan of an earlier run of the same object, and its finished and begun ranges.

        Raises LookupError when there is none, or it was another object.
        """
        try:
            lines = self._lines()
            head = read_object(lines[0])
            if [head[key] for key in ("version", "etag", "size")] != [_VERSION, etag, size]:
                raise LookupError("it was another object")
            plan = RangePlan(**head["plan"])
            numbers = [
                plan.start,
                plan.end,
                plan.part_size,
                plan.block or plan.part_size,
                plan.workers + 1,
            ]
            sound = all(type(each) is int for each in numbers) and plan.block != 0
            sound = sound and 0 <= plan.start <= plan.end <= size and min(numbers[2:]) > 0
            if not (sound and plan.part_count <= _MOST_RANGES):
                raise ValueError("the plan is not sound")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LookupError("nothing to go on with") from error
        finished: dict[int, FinishedRange] = {}
        begun: dict[int, BegunRange] = {}
        for line in lines[1:]:
            # The last one may be cut; the others may hold anything.
            with contextlib.suppress(ValueError, TypeError):
                number, crc32c, rest = read_json(line)
                if type(number) is not int or not 1 <= number <= plan.part_count:
                    continue
                if type(rest) is not int:
                    finished[number] = FinishedRange(
                        bytes.fromhex(crc32c), tuple(bytes.fromhex(block) for block in rest)
                    )
                elif 0 < rest < plan.part(number)[1]:
                    begun[number] = BegunRange(rest, bytes.fromhex(crc32c))
        return plan, finished, begun

    def _lines(self) -> list[str]:
        """What is there. Raises FileNotFoundError, also where only another user's file is."""
        descriptor = self._place.open_existing(self._name)
        if descriptor is None:
            raise FileNotFoundError(self._name)
        with os.fdopen(descriptor, encoding="ascii", errors="replace", newline="") as file:
            return file.read().split("\n")

    def resume(self) -> None:
        """Append to what is there, on a new line: the last one may be cut."""
        self._open(keep=True)
        self._write("\n")

    def begin(self, etag: str | None, size: int, plan: RangePlan) -> None:
        """Begin anew with this object and plan."""
        self._open(keep=False)
        head = {"version": _VERSION, "etag": etag, "size": size, "plan": asdict(plan)}
        self._write(json.dumps(head) + "\n")

    def record(self, number: int, finished: FinishedRange) -> None:
        """Note a range that is in the file."""
        line: list[Any] = [number, finished.crc32c.hex(), [each.hex() for each in finished.blocks]]
        self._write(json.dumps(line) + "\n")

    def record_begun(self, number: int, begun: BegunRange) -> None:
        """Note how much of a range is in the file."""
        self._write(json.dumps([number, begun.crc32c.hex(), begun.length]) + "\n")

    def forget(self) -> None:
        """Remove the checkpoint: the download has ended."""
        self.close()
        self._place.remove(self._name)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _open(self, *, keep: bool) -> None:
        self.close()
        try:
            self._descriptor, _ = self._place.open(self._name, os.O_APPEND)
            if not keep:
                os.ftruncate(self._descriptor, 0)
        except OSError as error:
            self._give_up(error)

    def _write(self, text: str) -> None:
        with self._lock:
            if self._descriptor is None or self._broken:
                return
            try:
                os.write(self._descriptor, text.encode("ascii"))
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._broken = True
        self._listener(Notice(f"From here on nothing can be remembered: {error}."))
