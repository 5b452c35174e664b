"""Figures as text and pictures: tables for docs/performance.md, plots beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.ground import MIB, ROOT
from bench.peers import OURS, STOCK
from bench.rounds import Sample
from bench.scenarios import Scenario
from bench.summary import Row, Spread

BEGIN = "<!-- begin: written by make bench -->"
END = "<!-- end: written by make bench -->"

#: Units that are large enough to be read as they are; the rest is told per thousand.
_MILLI = {"file": "CPU ms per file", "run": "CPU ms"}


def table(scenario: Scenario, rows: Sequence[Row]) -> str:
    """One scenario in Markdown."""
    unit = _MILLI.get(scenario.unit, f"CPU s per {scenario.unit}")
    factor = 1000 if scenario.unit in _MILLI else 1
    named = [row.peer for row in rows]
    missing = STOCK in named and OURS not in named
    head = ["", unit, "x limit", "start-up CPU s", "wall s", "peak MiB"]
    head += ["anonymous MiB", "source read", f"calls per {scenario.unit}"]
    lines = [f"### {scenario.title}", "", _line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in rows:
        if row.trouble is not None:
            lines.append(_line([row.peer, f"**failed**: {row.trouble}", *[""] * (len(head) - 2)]))
            continue
        cells = [
            row.peer,
            _spread(row.cpu, factor),
            _spread(row.ratio),
            _spread(row.start),
            _spread(row.wall),
            f"{row.peak / MIB:.0f}",
            f"{row.anonymous / MIB:.0f}" if row.anonymous else "",
            f"{row.read:.2f} x" if row.read is not None else "",
            f"{row.calls:,.0f}" if row.calls is not None else "not measured",
        ]
        lines.append(_line(cells))
    if missing:
        lines += ["", "ocihaul has no such command yet."]
    if scenario.unit == "GiB":
        lines += ["", f"![{scenario.title}, CPU seconds per GiB](plots/{scenario.name}.svg)"]
    return "\n".join([*lines, ""])


def document(
    machine: Mapping[str, str],
    conditions: Mapping[str, str],
    tables: Sequence[str],
    sizes: Mapping[str, int],
) -> str:
    """All tables, with what they were measured on."""
    about = "; ".join(f"{name}: {value}" for name, value in {**machine, **conditions}.items())
    parts = [f"Measured on: {about}.", "", *tables]
    if sizes:
        parts += ["### Installed size", "", _line(["", "MB"]), _line(["---", "---:"])]
        parts += [_line([name, f"{size / 1e6:.1f}"]) for name, size in sizes.items()]
        parts.append("")
    return "\n".join(parts)


def write_into(page: Path, text: str, begin_mark: str = BEGIN, end_mark: str = END) -> None:
    """Replace what is between the markers. Raises ValueError when the page has none."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(begin_mark)
    _, end, after = rest.partition(end_mark)
    if not begin or not end:
        raise ValueError(f"{page.relative_to(ROOT)} has no markers for the tables")
    page.write_text(f"{before}{begin_mark}\n\n{text}\n{end_mark}{after}", encoding="utf-8")


def as_json(
    machine: Mapping[str, str],
    conditions: Mapping[str, str],
    samples: Sequence[Sample],
    tables: Mapping[str, Sequence[Row]],
    sizes: Mapping[str, int],
) -> str:
    """Everything that was measured, and the figures made of it."""
    whole = {
        "machine": dict(machine),
        "conditions": dict(conditions),
        "figures": {name: [asdict(row) for row in rows] for name, rows in tables.items()},
        "installed_bytes": dict(sizes),
        "samples": [asdict(sample) for sample in samples],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def plot(title: str, rows: Sequence[Row], path: Path) -> None:
    """CPU seconds per GiB as bars, with the range of the rounds."""
    from matplotlib.figure import Figure  # noqa: PLC0415  in the bench environment only

    good = [(row.peer, row.cpu) for row in rows if row.cpu is not None]
    figure = Figure(figsize=(7, 0.6 + 0.45 * len(good)), layout="constrained")
    axes = figure.add_subplot()
    for place, (peer, cpu) in enumerate(reversed(good)):
        colour = "#c74634" if peer == OURS else "#888888"
        reach = [[cpu.median - cpu.least], [cpu.most - cpu.median]]
        axes.barh(place, cpu.median, xerr=reach, color=colour, height=0.6)
    axes.set_yticks(range(len(good)), [peer for peer, _ in reversed(good)])
    axes.set_xlabel("CPU seconds per GiB: median, least and most")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _spread(spread: Spread | None, factor: float = 1) -> str:
    if spread is None:
        return ""
    middle, least, most = (factor * v for v in (spread.median, spread.least, spread.most))
    return f"{middle:.2f} ({least:.2f}-{most:.2f})"
