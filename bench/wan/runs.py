"""Runs the programs of one row in turn, over a line of their own, and keeps every sample."""

import random
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import peers
from bench.ground import MIB, Ground, Place, ground
from bench.peers import Command, Job, Programs
from bench.probe import measure
from bench.scenarios import Check, all_there, downloaded, uploaded
from bench.service import LISTED, READABLE
from bench.wan.cells import Cell
from bench.wan.network import SERVER, Network, network

_BUCKET = "backups"
_NAME = "object"
#: The official CLI refuses smaller ranges.
_LEAST_OFFICIAL_RANGE = 128 * MIB
_UPWARDS = {"put", "bulk-upload"}


@dataclass(frozen=True)
class Passage:
    """One run of one program. Seconds, bytes, CPU seconds; `share` is of the line's rate.

    `cut`: it did not come to its end; its share is that of the bytes of TCP that had come by then.
    `dropped` packets did not fit into the queue. `start` is how many round trips it took from the
    first SYN until all the first connections carried bytes.
    """

    cell: str
    peer: str
    round: int
    seconds: float
    share: float
    cpu: float
    connections: int
    dropped: int
    cut: bool = False
    trouble: str | None = None
    start: float | None = None


def run(
    cell: Cell,
    programs: Programs,
    others: Mapping[str, Path],
    rounds: int,
    say: Callable[[str], None],
) -> Iterator[Passage]:
    """Measure a row. `others` are further commands of ours, by the name that they get."""
    with network() as net:
        place = Place(SERVER, net.server, net.client)
        size = cell.size if not cell.files else MIB
        with ground(size, place=place) as here:
            commands, check = _commands(here, programs, others, cell)
            for number in range(rounds):
                names = list(commands)
                random.Random(number).shuffle(names)  # noqa: S311
                for name in names:
                    passage = _pass(here, net, cell, commands[name], check)
                    passage = replace(passage, peer=name, round=number)
                    say(f"  {cell.name} {number + 1}/{rounds} {name}: {_brief(passage)}")
                    yield passage


def _commands(
    here: Ground, programs: Programs, others: Mapping[str, Path], cell: Cell
) -> tuple[dict[str, Command], Check]:
    job, check = _job(here, cell)
    ranges = max(job.part_size, _LEAST_OFFICIAL_RANGE) if cell.what == "get" else job.part_size
    commands = {peers.OURS: peers.ocihaul(here, programs, cell.what, job)}
    if programs.official is not None:
        large = replace(job, part_size=ranges)
        commands[peers.STOCK] = peers.official(here, programs, cell.what, large)
    if programs.rclone is not None:
        commands[peers.RCLONE] = peers.rclone(here, programs, cell.what, job)
    for name, path in others.items():
        commands[name] = peers.ocihaul(here, Programs(path), cell.what, job)
    return commands, check


def _job(here: Ground, cell: Cell) -> tuple[Job, Check]:
    job = Job(
        path=here.source,
        bucket=_BUCKET,
        name=_NAME,
        scheme="https",
        part_size=cell.part_size or 10 * MIB,
        parallel=cell.parallel,
        defaults=cell.part_size is None,
        tries_again=True,
    )
    if cell.files:
        return _tree_job(here, cell, job)
    if cell.what == "get":
        path = here.home / "fetched" / "file"
        job = replace(job, path=path, bucket=READABLE, name=READABLE)
        return job, downloaded(path, here.size, here.crc32c)
    return job, uploaded(here, job)


def _tree_job(here: Ground, cell: Cell, job: Job) -> tuple[Job, Check]:
    tree = here.tree(cell.files, cell.size)
    if cell.what == "bulk-upload":
        return replace(job, path=tree, name=""), all_there(here, tree)
    bucket = f"{LISTED}-{cell.files}-{cell.size}"
    if cell.what == "sync":
        return replace(job, path=tree, name="", bucket=bucket), nothing_came(here)
    target = here.home / "fetched" / "tree"
    return replace(job, path=target, name="", bucket=bucket), all_fetched(here, target, cell)


def nothing_came(here: Ground) -> Check:
    """All was there already."""
    return lambda: "files were sent that were there" if here.all_arrived() else None


def all_fetched(here: Ground, target: Path, cell: Cell) -> Check:
    """Each file is there with its bytes; they are removed for the next round."""

    def check() -> str | None:
        with here.source.open("rb") as source:
            whole = source.read(cell.size)
        files = [path for path in target.rglob("*") if path.is_file()]
        good = sum(path.read_bytes() == whole for path in files)
        shutil.rmtree(target, ignore_errors=True)
        return None if good == cell.files else f"{good} of {cell.files} files are there and whole"

    return check


def _pass(here: Ground, net: Network, cell: Cell, command: Command, check: Check) -> Passage:
    here.forget()
    here.log_in()
    net.weather(cell.weather)
    with _event(net, cell):
        cost = measure(here, command, timeout=cell.limit)
    up, down = net.counters()
    start = net.start()
    counted = up if cell.what in _UPWARDS else down
    trouble = cost.trouble if cost.trouble is not None else check()
    cut = cost.trouble is not None and cost.wall >= cell.limit
    moved = counted["payload"] if trouble is not None else None
    return Passage(
        cell=cell.name,
        peer="",
        round=0,
        seconds=cost.wall,
        share=cell.share(cost.wall, moved),
        cpu=cost.cpu,
        connections=up["opened"],
        dropped=counted["overflowed"],
        cut=cut,
        trouble=None if cut else trouble,
        start=None if start is None else start / (2 * cell.weather.delay),
    )


@contextmanager
def _event(net: Network, cell: Cell) -> Iterator[None]:
    """Let the cell's event happen in its time, unless the context ends before."""
    over = threading.Event()

    def happen() -> None:
        if cell.event is None or over.wait(cell.after):
            return
        cell.event.begin(net)
        if cell.event.passes and not over.wait(cell.lasts):
            net.fair()

    timer = threading.Thread(target=happen)
    timer.start()
    try:
        yield
    finally:
        over.set()
        timer.join()


def _brief(passage: Passage) -> str:
    if passage.trouble is not None:
        return passage.trouble
    cut = ", cut off" if passage.cut else ""
    return f"{passage.seconds:.1f} s, {passage.share:.2f} of the line{cut}"
