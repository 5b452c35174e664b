"""What breaks first at 10, 100 and 1,000 hosts: the model with the constants that were measured.

    python -m bench.scale.predict [--write]

It prints the tables of docs/scale.md, and with `--write` puts them there.
"""

import json
import statistics
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.scale.model import Constants, Transfer, simulate

RESULTS = Path(__file__).parents[1] / "results" / "scale.json"
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
BEGIN, END = "<!-- begin: bench.scale.predict -->", "<!-- end: bench.scale.predict -->"

MIB, GIB = 2**20, 2**30
#: 10 Gbit/s, bytes a second.
HOST = 1.25e9
THREADS = 8
HOSTS = (1, 10, 100, 1000)
#: Parts for each thread: enough that the start and the last wave count for little.
WAVES = 12
#: A list's page: names, and seconds beside the round trip.
PAGE_NAMES, PAGE_SECONDS = 1000, 0.01
#: Microseconds that a name costs who lists, compares and walks (docs/shards.md).
NAME_US = 37.0
DAY = 86_400.0
NAMES = 10**9


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of the driver for a part and for a small file, of the scheduler for a task."""

    part: float
    file: float
    task: float


def measured(found: dict[str, Any]) -> Measured:
    """From what `bench.scale.run` has written."""
    told = found["samples"]

    def seconds(name: str, key: str) -> float:
        return float(statistics.median(told[name][key])) / 1000

    return Measured(
        part=seconds("cost", "CPU ms per part"),
        file=seconds("files", "driver ms per file"),
        task=seconds("cost", "scheduler ms per task"),
    )


def of_hosts(known: Measured, hosts: int, part_size: int) -> Transfer:
    """Large objects by so many hosts of 10 Gbit/s in one region."""
    constants = Constants(
        driver_per_part=known.part,
        scheduler_per_task=known.task,
        start=1.0,
        per_part=0.01,
        worker_rate=HOST,
    )
    parts = hosts * THREADS * WAVES
    return Transfer(
        size=parts * part_size,
        part_size=part_size,
        workers=hosts,
        threads=THREADS,
        constants=constants,
    )


def most_hosts(known: Measured, part_size: int) -> tuple[float, str]:
    """How many hosts one driver and one scheduler can feed, and which of them is the limit."""
    by_driver, by_scheduler = part_size / known.part / HOST, part_size / known.task / HOST
    return min((by_driver, "the driver"), (by_scheduler, "the scheduler"))


def hosts_table(known: Measured) -> list[str]:
    """How much of the hosts' lines is used."""
    lines = [
        "| hosts of 10 Gbit/s | parts | used of their lines | what limits |",
        "|---|---|---|---|",
    ]
    for part_size in (128 * MIB, GIB):
        for hosts in HOSTS:
            transfer = of_hosts(known, hosts, part_size)
            done = simulate(transfer)
            moving = done.seconds - transfer.constants.start
            used = transfer.size / moving / (hosts * HOST)
            limit = "the lines" if used > 0.9 else most_hosts(known, part_size)[1]
            size = "1 GiB" if part_size == GIB else f"{part_size // MIB} MiB"
            lines.append(f"| {hosts:,} | {size} | {used:.0%} | {limit} |")
    return lines


def limits_table(known: Measured) -> list[str]:
    """What each single thing can do."""
    small, limit = most_hosts(known, 128 * MIB)
    large, _ = most_hosts(known, GIB)
    list_hours = NAMES / PAGE_NAMES * (0.08 + PAGE_SECONDS) / 3600
    near_hours = NAMES / PAGE_NAMES * (0.002 + PAGE_SECONDS) / 3600
    names_hours = NAMES * NAME_US / 1e6 / 3600
    file_hours = NAMES * known.file / 3600
    by_part = [f"{size / known.part / HOST:,.0f}" for size in (128 * MIB, GIB)]
    by_task = [f"{size / known.task / HOST:,.0f}" for size in (128 * MIB, GIB)]
    return [
        "| what | one can do | so |",
        "|---|---|---|",
        _row(
            f"driver: {known.part * 1000:.2f} ms for a part",
            f"{1 / known.part:,.0f} parts a second",
            f"{by_part[0]} hosts with parts of 128 MiB, {by_part[1]} with 1 GiB",
        ),
        _row(
            f"scheduler: {known.task * 1000:.2f} ms for a task",
            f"{1 / known.task:,.0f} tasks a second",
            f"{by_task[0]} hosts with parts of 128 MiB, {by_task[1]} with 1 GiB",
        ),
        _row(
            "both, of which the first is " + limit,
            "",
            f"{small:,.0f} hosts with parts of 128 MiB, {large:,.0f} with 1 GiB",
        ),
        _row(
            f"driver: {known.file * 1000:.2f} ms for a small file",
            f"{1 / known.file:,.0f} files a second",
            f"10^9 files: {file_hours:,.0f} h",
        ),
        _row(
            "one list of 10^9 names, page by page",
            "1,000 names a round trip",
            f"{list_hours:,.0f} h at 80 ms, {near_hours:,.1f} h at 2 ms",
        ),
        _row(
            f"walk, list and compare 10^9 names: {NAME_US:.0f} µs each",
            f"{1e6 / NAME_US:,.0f} names a second",
            f"{names_hours:,.0f} h",
        ),
        _row(
            "a session of 24 h",
            f"{HOST * DAY / 1e12:,.0f} TB by each host of 10 Gbit/s",
            f"{DAY / known.file / 1e6:,.0f} million small files by one driver",
        ),
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def rates_table(known: Measured) -> list[str]:
    """What a limit of the service's requests does to 100 hosts."""
    lines = ["| requests a second | parts of 128 MiB | parts of 1 GiB |", "|---|---|---|"]
    free = replace(known, part=0.0, task=0.0)  # as if there were drivers enough
    for rate in (100.0, 500.0, 2000.0):
        cells = []
        for part_size in (128 * MIB, GIB):
            transfer = of_hosts(free, 100, part_size)
            limited = replace(transfer.constants, service_rate=rate)
            done = simulate(replace(transfer, constants=limited))
            used = transfer.size / (done.seconds - limited.start) / (100 * HOST)
            cells.append(f"{used:.0%} of the lines")
        lines.append(f"| {rate:,.0f} | {cells[0]} | {cells[1]} |")
    return lines


def tables(known: Measured) -> list[str]:
    """All of them, as the page has them."""
    return [
        *limits_table(known),
        "",
        "One driver, one scheduler, large objects:",
        "",
        *hosts_table(known),
        "",
        "100 hosts, where the service takes so many requests a second and drivers are no limit:",
        "",
        *rates_table(known),
    ]


def main() -> None:
    """Print, or write."""
    known = measured(json.loads(RESULTS.read_text(encoding="utf-8")))
    lines = tables(known)
    print("\n".join(lines))
    if "--write" in sys.argv[1:]:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        body = "\n".join(["", *lines, ""])
        PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
