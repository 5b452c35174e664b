"""Passages as figures, a table and a plot; pure but for the plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.peers import OURS
from bench.summary import Spread
from bench.wan.cells import Cell
from bench.wan.runs import Passage
from bench.wan.weather import LIMIT

BEGIN = "<!-- begin: written by make bench-wan -->"
END = "<!-- end: written by make bench-wan -->"


@dataclass(frozen=True)
class Figure:
    """One program in one cell. `ratio` is our share as a multiple of its own, round by round."""

    share: Spread
    seconds: Spread
    ratio: float | None
    connections: int
    start: float | None
    cut: int
    runs: int
    trouble: str | None = None


def figures(cell: Cell, passages: Sequence[Passage]) -> dict[str, Figure]:
    """By program; one that had trouble in any round has no ratio."""
    mine = [passage for passage in passages if passage.cell == cell.name]
    ours = {p.round: p.share for p in mine if p.peer == OURS and p.trouble is None}
    made = {}
    for peer in dict.fromkeys(passage.peer for passage in mine):
        of = [passage for passage in mine if passage.peer == peer]
        trouble = next((passage.trouble for passage in of if passage.trouble is not None), None)
        ratios = [ours[p.round] / p.share for p in of if p.round in ours and p.share > 0]
        starts = [passage.start for passage in of if passage.start is not None]
        made[peer] = Figure(
            share=Spread.of([passage.share for passage in of]),
            seconds=Spread.of([passage.seconds for passage in of]),
            ratio=median(ratios) if ratios and trouble is None else None,
            connections=max(passage.connections for passage in of),
            start=median(starts) if starts else None,
            cut=sum(passage.cut for passage in of),
            runs=len(of),
            trouble=trouble,
        )
    return made


def table(cells: Sequence[Cell], passages: Sequence[Passage]) -> str:
    """All cells in Markdown: a row for each program in each."""
    head = ["", "", "share of the line", "wall s", "ours / its", "connections", "start"]
    lines = [_row(head), _row(["---", "---", *["---:"] * (len(head) - 2)])]
    for cell in cells:
        title = cell.title
        for peer, figure in figures(cell, passages).items():
            lines.append(_row([title, peer, *_cells(figure)]))
            title = ""
    note = (
        f"The largest share that headers leave is {LIMIT:.2f}. `*`: cut off in some rounds. "
        "*Start*: round trips from the first SYN until all the first connections carried bytes."
    )
    return "\n".join([*lines, "", note])


def _cells(figure: Figure) -> list[str]:
    if figure.trouble is not None:
        return [f"**failed**: {figure.trouble}", "", "", "", ""]
    star = "*" if figure.cut else ""
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    share, seconds = figure.share, figure.seconds
    return [
        f"{share.median:.2f}{star} ({share.least:.2f}-{share.most:.2f})",
        f"{seconds.median:.1f} ({seconds.least:.1f}-{seconds.most:.1f})",
        ratio,
        str(figure.connections),
        "" if figure.start is None else f"{figure.start:.1f}",
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def plot(cells: Sequence[Cell], passages: Sequence[Passage], path: Path) -> None:
    """Shares as bars beside each other, with the range of the rounds and the limit."""
    from matplotlib import figure as mpl  # noqa: PLC0415  in the bench environment only

    made: Mapping[str, dict[str, Figure]] = {cell.name: figures(cell, passages) for cell in cells}
    names = list(dict.fromkeys(peer for one in made.values() for peer in one))
    picture = mpl.Figure(figsize=(8, 0.8 + 0.28 * len(names) * len(cells)), layout="constrained")
    axes = picture.add_subplot()
    height = 0.8 / len(names)
    for place, peer in enumerate(names):
        colour = "#c74634" if peer == OURS else ("#555555", "#aaaaaa", "#d0b000")[place % 3]
        at = [-row - place * height for row, cell in enumerate(cells) if peer in made[cell.name]]
        shares = [made[cell.name][peer].share for cell in cells if peer in made[cell.name]]
        middle = [share.median for share in shares]
        reach = [[s.median - s.least for s in shares], [s.most - s.median for s in shares]]
        axes.barh(at, middle, height=height, xerr=reach, color=colour, label=peer)
    axes.axvline(LIMIT, color="black", linewidth=0.8, linestyle="--")
    ticks = [-row - 0.4 + height / 2 for row in range(len(cells))]
    axes.set_yticks(ticks, [cell.title for cell in cells])
    axes.set_xlabel("share of the line: median, least and most; dashed: what headers leave")
    axes.legend(loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    picture.savefig(path, metadata={"Date": None, "Creator": None})
