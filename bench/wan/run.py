"""`make bench-wan`: everybody over the same long line, in one run. Needs root.

See docs/performance.md, "Long lines".
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from bench import machine, report
from bench.ground import ROOT
from bench.peers import Programs
from bench.wan import tables
from bench.wan.cells import CELLS, Cell
from bench.wan.network import obstacle
from bench.wan.runs import Passage, run

RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "performance.md"
PLOT = PAGE.parent / "plots" / "wan.svg"
#: Exit status where there can be no line.
CANNOT = 2


def main() -> int:
    """Measure, print the table, write the results."""
    options = _options()
    if (why := obstacle()) is not None:
        print(f"bench-wan cannot run here: {why}", file=sys.stderr)
        return CANNOT
    signal.signal(signal.SIGTERM, _interrupted)
    programs = Programs(options.ocihaul, options.official, options.rclone)
    told = machine.describe(programs) | {"system": f"{sys.platform}, a line of two namespaces"}
    conditions = {"rounds": str(options.rounds), "measured": time.strftime("%F", time.gmtime())}
    cells = [cell for name, cell in CELLS.items() if not options.only or name in options.only]
    passages: list[Passage] = []
    try:
        for cell in cells:
            passages += run(cell, programs, dict(options.beside), options.rounds, _say)
    except KeyboardInterrupt:
        _say("interrupted: the line and its namespaces are gone, nothing was written")
        return 130
    text = tables.table(cells, passages)
    about = "; ".join(f"{name}: {value}" for name, value in {**told, **conditions}.items())
    print(text)
    if not options.dry:
        _write(f"Measured on: {about}.\n\n{text}", told | conditions, cells, passages)
    return 1 if any(passage.trouble for passage in passages) else 0


def _write(
    text: str, about: Mapping[str, str], cells: Iterable[Cell], passages: Iterable[Passage]
) -> None:
    chosen, samples = list(cells), list(passages)
    RESULTS.mkdir(exist_ok=True)
    whole = {"about": dict(about), "samples": [asdict(sample) for sample in samples]}
    (RESULTS / "wan.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    tables.plot(chosen, samples, PLOT)
    picture = "![Shares of the line](plots/wan.svg)"
    report.write_into(PAGE, f"{text}\n\n{picture}\n", tables.BEGIN, tables.END)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _beside(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ocihaul", type=Path, required=True, help="the command to measure")
    parser.add_argument("--official", type=Path, help="the official CLI's command")
    parser.add_argument("--rclone", type=Path)
    parser.add_argument(
        "--beside",
        type=_beside,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="another ocihaul to measure beside this one (repeatable)",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=CELLS, help="only this row (repeatable)")
    parser.add_argument("--dry", action="store_true", help="write neither results nor page")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
