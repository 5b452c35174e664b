"""One run as a picture: rate, tokens, connections, troubles and waits over its time; pure.

All is drawn here, so the page says the same on paper and without scripts; the script only adds what
a pointer is over, and zoom. What is stretched is SVG without text, what must not be is HTML that
stands at a percentage: so one drawing fits every width.

Text gets into a page here, too, in the one way that there is for a text of a log.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from html import escape

from ocihaul.printing import shown
from ocihaul.quantities import duration_text, size_text
from ocihaul.report.runs import Pause, Run, TokenSpan
from ocihaul.report.timeline import Mark, Span, Timeline, coarser

#: Glyph and words of what may happen: the form tells it, too, not only the colour.
KINDS = {
    "401": ("◆", "answer 401"),
    "retry": ("▲", "retry"),
    "stall": ("■", "stalled connection"),
    "resent": ("↻", "part sent again"),
    "renewal-failed": ("✕", "renewal failed"),
    "file-failed": ("✖", "file failed"),
    "clock": ("◷", "clock set"),
    "notice": ("i", "notice"),
}
_X = 1000
_LANE = 8
_MARK = 15
_TOP = 100
_KIB = 1024
_FEWEST_RATES = 96
_MOST_RATES = 240
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_MOST_TICKS = 4


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the list beside the picture."""

    at: float
    what: str
    kind: str
    count: int = 1


def happenings(run: Run) -> list[Happening]:
    """All that happened in a run, in its order: tokens, waits, marks."""
    found = [
        *(Happening(token.at, _token_text(run, token), "token") for token in run.tokens),
        *(Happening(pause.start, _pause_text(pause), "pause") for pause in run.pauses),
        *(
            Happening(mark.at, mark.text, mark.kind, mark.count)
            for mark in (run.timeline.marks if run.timeline is not None else [])
        ),
    ]
    return sorted(found, key=lambda each: each.at)


def _token_text(run: Run, token: TokenSpan) -> str:
    source = {
        "start": "at the start",
        "file": "from its file",
        "refresh": "by refresh",
        "mint": "minted by the API key",
    }
    valid = ""
    if token.expires_at is not None and token.expires_at < 2**36:
        seconds = token.expires_at - run.began.timestamp()
        valid = f", valid until {moment(run.began + timedelta(seconds=round(seconds)))}"
    return f"token {token.generation} {source.get(token.source, token.source)}{valid}"


def _pause_text(pause: Pause) -> str:
    ended = "until the end of the log" if pause.end is None else duration_text(_length(pause))
    return f"waited for a login, {ended}: {pause.reason}"


def _length(pause: Pause) -> float:
    return (pause.end or pause.start) - pause.start


def chart(run: Run, timeline: Timeline, *, number_of_run: int, columns: int) -> str:
    """The picture of a run, in at most so many columns."""
    length = max(run.length, 0.001)
    width, rates = timeline.rates(length, min(max(columns, _FEWEST_RATES), _MOST_RATES))
    lanes = [coarser(spans, length / columns) for spans in timeline.lanes]
    shades = _shades(lanes)
    peak = max(rates, default=0.0)
    kinds = [kind for kind in KINDS if any(mark.kind == kind for mark in timeline.marks)]
    heights = {"lanes": max(len(lanes) * _LANE, 16), "marks": max(len(kinds) * _MARK + 4, 20)}
    marks = _marks(timeline.marks, kinds, happenings(run), length)
    rows = [
        ("rate", f"Rate<small>up to {size_text(peak)}/s</small>", _rate(rates, width, length)),
        ("tokens", "Token", _tokens(run, shades, length)),
        (
            "lanes",
            f"Connections<small>{_lane_count(timeline)}</small>",
            _lanes(lanes, shades, length),
        ),
        ("marks", "Events", joined(marks)),
        ("axis", "Time", _axis(run, length)),
    ]
    shown = [row for row in rows if row[2]]
    names = joined(
        f'<div class="{kind}"{_height(heights.get(kind))}>{label}</div>' for kind, label, _ in shown
    )
    plots = joined(
        f'<div class="{kind}"{_height(heights.get(kind))}>{plot}</div>' for kind, _, plot in shown
    )
    began = run.began.hour * 3600 + run.began.minute * 60 + run.began.second
    return (
        f'<figure class="chart" data-run="{number_of_run}" data-length="{length:.3f}"'
        f' data-began="{began + run.began.microsecond / 1e6:.3f}" data-width="{width:.4f}"'
        f' data-rates="{" ".join(str(round(rate / _KIB)) for rate in rates)}"'
        f' data-tokens="{" ".join(f"{t.at:.2f}:{t.generation}" for t in run.tokens)}">'
        f"<figcaption>{_legend(run, lanes, shades, kinds)}</figcaption>"
        f'<div class="plot"><div class="names" aria-hidden="true">{names}</div>'
        '<div class="scroll"><div class="inner">'
        f"{plots}{joined(_pauses(run, length))}</div></div></div></figure>"
    )


def _height(pixels: int | None) -> str:
    return "" if pixels is None else f' style="height:{pixels}px"'


def _lane_count(timeline: Timeline) -> str:
    more = f" and more ({timeline.unseen} exchanges)" if timeline.unseen else ""
    return f"{len(timeline.lanes)}{more}"


def _rate(rates: Sequence[float], width: float, length: float) -> str:
    peak = max(rates, default=0.0)
    if peak <= 0:
        return ""
    path, last = [f"M0 {_TOP}"], _TOP
    for column, rate in enumerate(rates):
        y = round(_TOP - _TOP * rate / peak)
        if y != last:
            path.append(f"H{column}V{y}")
            last = y
    end = number(length / width)
    path.append(f"H{end}V{_TOP}z")
    return (
        f'<svg viewBox="0 0 {end} {_TOP}" preserveAspectRatio="none" role="img">'
        f"<title>Rate over time, at most {size_text(peak)}/s</title>"
        f'<path d="{joined(path)}"/></svg>'
    )


def _shades(lanes: Sequence[Sequence[Span]]) -> Mapping[int, str]:
    """Of the generations that signed anything: neighbours differ. Their numbers stand above."""
    used = sorted({span.generation for spans in lanes for span in spans})
    return {generation: "ab"[index % 2] for index, generation in enumerate(used)}


def _tokens(run: Run, shades: Mapping[int, str], length: float) -> str:
    pieces = []
    for index, token in enumerate(run.tokens):
        end = run.tokens[index + 1].at if index + 1 < len(run.tokens) else length
        if end <= token.at:
            continue
        kind, place = shades.get(token.generation, "u"), _place(token.at, end, length)
        pieces.append(f'<span class="{kind}" style="{place}">{token.generation}</span>')
    return joined(pieces)


def _place(start: float, end: float, length: float) -> str:
    left, right = (100 * min(max(at / length, 0.0), 1.0) for at in (start, end))
    return f"left:{number(left)}%;width:{number(max(right - left, 0.1))}%"


def _lanes(lanes: Sequence[Sequence[Span]], shades: Mapping[int, str], length: float) -> str:
    if not lanes:
        return ""
    height = max(len(lanes) * _LANE, 16)
    paths = joined(
        piece
        for row, spans in enumerate(lanes)
        for piece in _lane(spans, shades, row * _LANE + _LANE // 2, length)
    )
    return (
        f'<svg viewBox="0 0 {_X} {height}" preserveAspectRatio="none" role="img">'
        f"<title>Exchanges on {len(lanes)} connections over time</title>{paths}</svg>"
    )


def _lane(spans: Sequence[Span], shades: Mapping[int, str], y: int, length: float) -> Iterator[str]:
    kinds: dict[tuple[str, int | None], list[Span]] = {}
    for span in spans:
        kind = "x" if span.failed else shades[span.generation]
        kinds.setdefault((kind, span.connection), []).append(span)
    for (kind, connection), those in kinds.items():
        path = []
        for span in those:
            left = _X * span.start / length
            # A little less than its length: what follows at once is still told from it.
            wide = max(_X * span.seconds / length - 0.6, 0.6)
            path.append(f"M{number(left)} {y}h{number(wide)}")
        number_of = "" if connection is None else f' data-connection="{connection}"'
        yield f'<path class="{kind}"{number_of} d="{joined(path)}" data-about="{_about(those)}"/>'


def _about(spans: Sequence[Span]) -> str:
    """Of each a line for the script: label, size, seconds, and how many where it is not one.

    A part is its number; a size that is that of the one before is left out.
    """
    lines, before = [], -1
    for span in spans:
        size = "" if span.size == before else str(span.size)
        count = "" if span.count == 1 else f"\t{span.count}"
        label = text(span.label.removeprefix("part "))
        lines.append(f"{label}\t{size}\t{number(span.seconds)}{count}")
        before = span.size
    return "\n".join(lines)


def _marks(
    marks: Sequence[Mark], kinds: Sequence[str], listed: Sequence[Happening], length: float
) -> Iterator[str]:
    rows = {(each.at, each.kind): row for row, each in enumerate(listed)}
    for mark in marks:
        left = number(100 * min(mark.at / length, 1.0))
        top = kinds.index(mark.kind) * _MARK + 2
        yield (
            f'<b class="k{mark.kind}" style="left:{left}%;top:{top}px" '
            f'data-row="{rows[mark.at, mark.kind]}">{KINDS[mark.kind][0]}</b>'
        )


def _pauses(run: Run, length: float) -> Iterator[str]:
    for pause in run.pauses:
        end = length if pause.end is None else pause.end
        yield f'<div class="pause" style="{_place(pause.start, end, length)}"></div>'


def _axis(run: Run, length: float) -> str:
    step = next((each for each in _STEPS if length / each <= _MOST_TICKS), 0)
    if not step:
        step = 86400 * (int(length / 86400 / _MOST_TICKS) + 1)
    midnight = run.began.replace(hour=0, minute=0, second=0, microsecond=0)
    since = (run.began - midnight).total_seconds()
    at = -since % step
    pieces = []
    while at < length:
        tick = run.began + timedelta(seconds=at)
        form = "%m-%d" if step >= 86400 else "%H:%M" if step >= 60 else "%H:%M:%S"
        pieces.append(f'<span style="left:{number(100 * at / length)}%">{tick:{form}}</span>')
        at += step
    return joined(pieces)


def _legend(
    run: Run,
    lanes: Sequence[Sequence[Span]],
    shades: Mapping[int, str],
    kinds: Sequence[str],
) -> str:
    pieces = []
    if any(span.failed for spans in lanes for span in spans):
        pieces.append('<span><i class="x"></i>exchange that failed</span>')
    if len(shades) > 1:
        pieces.append(
            '<span><i class="a"></i><i class="b"></i>another shade: signed by a newer token</span>'
        )
    if run.pauses:
        pieces.append('<span><i class="wait"></i>waiting for a login</span>')
    pieces += [
        f'<span><b class="k{kind}">{KINDS[kind][0]}</b> {KINDS[kind][1]}</span>' for kind in kinds
    ]
    return joined(pieces)


@lru_cache(maxsize=50_000)  # each try to make the page has the same texts; `page` clears it
def text(value: str) -> str:
    """A text without secrets and control characters, for an element or a quoted attribute."""
    return escape(shown(value))


def name(value: str) -> str:
    """A name from outside: whatever its script, it does not reorder what stands beside it."""
    return f"<bdi>{text(value)}</bdi>"


def moment(value: datetime, *, unit: str = "seconds") -> str:
    """A moment with its offset, as a log line has it: `2026-11-27 02:00:01+09:00`."""
    return value.isoformat(" ", unit)


def number(value: float) -> str:
    """A coordinate: as short as it can be."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def joined(pieces: Iterable[str]) -> str:
    """Pieces of markup as one."""
    return "".join(pieces)
