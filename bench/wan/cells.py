"""What is measured on the line: the rows of the table, each with its weather and its command."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from bench.ground import MIB
from bench.wan.network import Network
from bench.wan.weather import Weather

#: Packets per second that a trickling connection lets through in each direction.
_TRICKLE = 1.0


class Event(Enum):
    """What happens to the line while a program is at it."""

    OUTAGE = "20 s without a line"
    BLACKHOLE = "one connection blackholed"
    TRICKLE = "one connection trickles"

    @property
    def passes(self) -> bool:
        """Whether it ends by itself."""
        return self is Event.OUTAGE

    def begin(self, network: Network) -> None:
        """Let it happen."""
        match self:
            case Event.OUTAGE:
                network.down()
            case Event.BLACKHOLE:
                network.blackhole()
            case Event.TRICKLE:
                network.trickle(_TRICKLE)


@dataclass(frozen=True)
class Cell:
    """One row of the table: everybody does the same in the same weather.

    `what` is put, get, bulk-upload, bulk-download or sync (of what is there); `size` bytes, or of
    each of `files`; `part_size` and `parallel` are given to everybody, None leaves everybody to its
    defaults. An `event` comes `after` seconds and ends, where it ends, `lasts` seconds later. After
    `limit` seconds a program is cut off.
    """

    name: str
    title: str
    what: str
    weather: Weather
    size: int = 160 * MIB
    part_size: int | None = 10 * MIB
    parallel: int = 10
    files: int = 0
    event: Event | None = None
    after: float = 8.0
    lasts: float = 20.0
    limit: float = 60.0

    @property
    def amount(self) -> int:
        """Bytes in all."""
        return self.size * (self.files or 1)

    def share(self, seconds: float, moved: int | None = None) -> float:
        """Which part of the line's rate that is; `moved` bytes where not all came."""
        return (self.amount if moved is None else moved) * 8 / seconds / self.weather.rate


def _line(what: str, milliseconds: int, percent: float, **more: object) -> Cell:
    name = f"{what}-{milliseconds}-{percent:g}"
    word = {"put": "upload", "get": "download"}[what]
    weather = Weather(delay=milliseconds / 2000, loss=percent / 100)
    title = f"{word}, {milliseconds} ms, {percent:g} % loss"
    return Cell(name, title, what, weather, **more)  # type: ignore[arg-type]


def _own(what: str) -> Cell:
    word = {"put": "upload", "get": "download"}[what]
    title = f"{word} of 120 MiB, everybody's defaults, 80 ms, 0.1 % loss"
    weather = Weather(delay=0.04, loss=0.001)
    return Cell(f"{what}-defaults", title, what, weather, size=120 * MIB, part_size=None, limit=40)


def _eventful(event: Event | None) -> Cell:
    name = "calm" if event is None else event.name.lower()
    title = "no event" if event is None else event.value
    weather = Weather(rate=30e6, delay=0.04)
    size = 80 * MIB
    return Cell(name, title, "put", weather, size=size, parallel=6, event=event)


_FILES = Cell(
    name="small-files",
    title="2,000 files of 16 KiB, everybody's defaults, 100 Mbit/s, 80 ms",
    what="bulk-upload",
    weather=Weather(rate=100e6, delay=0.04),
    size=16 * 1024,
    part_size=None,
    files=2000,
    limit=40,
)

_FILES_DOWN = replace(
    _FILES,
    name="small-files-down",
    title="2,000 objects of 16 KiB, everybody's defaults, 100 Mbit/s, 80 ms",
    what="bulk-download",
)
_UNCHANGED = Cell(
    name="unchanged",
    title="sync of 20,000 files that are there, everybody's defaults, 100 Mbit/s, 80 ms",
    what="sync",
    weather=Weather(rate=100e6, delay=0.04),
    size=64,
    part_size=None,
    files=20_000,
    limit=40,
)

#: All rows, in the order of the table.
CELLS: Mapping[str, Cell] = {
    cell.name: cell
    for cell in (
        _line("put", 80, 0),
        _line("put", 80, 0.1),
        _line("put", 80, 1),
        _line("put", 200, 0),
        _line("put", 200, 0.1),
        _line("get", 80, 0),
        _line("get", 80, 0.1),
        _line("get", 200, 0),
        _own("put"),
        _own("get"),
        _FILES,
        _FILES_DOWN,
        _UNCHANGED,
        _eventful(None),
        _eventful(Event.OUTAGE),
        _eventful(Event.BLACKHOLE),
        _eventful(Event.TRICKLE),
    )
}
