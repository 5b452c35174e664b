"""`make bench`: everything, side by side, in one run. See docs/performance.md."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import machine, peers, report
from bench.ground import MIB, ROOT, Ground, ground
from bench.peers import Programs
from bench.rounds import Sample, calls, run
from bench.scenarios import Scale, Scenario, everything
from bench.summary import Row, rows

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"


def main() -> int:
    """Measure, print the tables, write the results."""
    options = read_options()
    programs = programs_of(options)
    told = machine.describe(programs)
    scale = Scale(
        part_size=options.part_size * MIB,
        files=options.files,
        many_parts=options.many_parts,
        renewal_size=options.renewal_size * MIB,
    )
    conditions = {
        "file": f"{options.size:,} MiB in parts of {options.part_size} MiB, 15 at a time",
        "rounds": str(options.rounds),
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
    } | ({"note": options.note} if options.note else {})
    samples: list[Sample] = []
    figures: dict[str, list[Row]] = {}
    tables: list[str] = []
    with ground(options.size * MIB, options.directory) as here:
        for name, make in everything(here, programs, scale).items():
            if options.only and name not in options.only:
                continue
            _say(f"{name}:")
            scenario = make()
            samples += run(here, scenario, options.rounds, _say)
            figures[name] = _with_calls(here, scenario, rows(scenario, samples))
            tables.append(report.table(scenario, figures[name]))
            print(tables[-1], flush=True)
            if scenario.unit == "GiB" and not options.dry:
                picture = PAGE.parent / "plots" / f"{name}.svg"
                picture.parent.mkdir(exist_ok=True)
                report.plot(scenario.title, figures[name], picture)
            here.drop_files()
    sizes = _sizes(programs) if not options.only else {}
    text = report.document(told, conditions, tables, sizes)
    print(text)
    if not options.dry:
        RESULTS.mkdir(exist_ok=True)
        whole = report.as_json(told, conditions, samples, figures, sizes)
        (RESULTS / f"{options.name}.json").write_text(whole, encoding="utf-8")
        report.write_into(PAGE, text)
    return 1 if any(row.trouble for table in figures.values() for row in table) else 0


def _with_calls(here: Ground, scenario: Scenario, table: Sequence[Row]) -> list[Row]:
    """With the system calls counted, in a run of their own: strace slows a program down."""
    strace = shutil.which("strace")
    if strace is None or scenario.unit == "run":
        return list(table)
    counted = []
    for case, row in zip(scenario.cases, table, strict=True):
        if row.trouble is None:
            count, _ = calls(here, case, strace)
            counted.append(replace(row, calls=count))
        else:
            counted.append(row)
    return counted


def _sizes(programs: Programs) -> dict[str, int]:
    sizes = {"ocihaul": machine.installed_bytes(programs.ocihaul.with_name("python"), "ocihaul")}
    if programs.official is not None:
        python = programs.official.with_name("python")
        sizes["official CLI"] = machine.installed_bytes(python, "oci-cli")
    if programs.rclone is not None:
        sizes["rclone"] = programs.rclone.stat().st_size
    return sizes


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def programs_of(options: argparse.Namespace) -> Programs:
    """The programs that the command line names."""
    return Programs(options.ocihaul, options.official, options.rclone, tuple(options.beside))


def read_options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ocihaul", type=Path, required=True, help="the command to measure")
    parser.add_argument("--official", type=Path, help="the official CLI's command")
    parser.add_argument("--rclone", type=Path)
    parser.add_argument(
        "--beside",
        type=peers.named_command,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another ocihaul to measure beside this one (repeatable)",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1920, help="MiB of the large file")
    parser.add_argument("--part-size", type=int, default=128, help="MiB")
    parser.add_argument("--files", type=int, default=10_000, help="small files in the tree")
    parser.add_argument("--many-parts", type=int, default=1_500, help="parts of 10 MiB")
    parser.add_argument("--renewal-size", type=int, default=4096, help="MiB")
    parser.add_argument("--directory", type=Path, help="where the files are put")
    parser.add_argument("--only", action="append", help="only this scenario (repeatable)")
    parser.add_argument("--name", default="latest", help="of the file in bench/results")
    parser.add_argument("--note", help="about the circumstances, for the page")
    parser.add_argument("--dry", action="store_true", help="write neither results nor page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
