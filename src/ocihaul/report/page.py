"""The page: the answer, the nights as a table, and each run with its picture; pure.

One file that asks for nothing: style and script stand in it, its policy allows no other script and
no request. Where it would become too large, it is drawn more coarsely, then with fewer pictures and
failed files, at last with fewer rows, and says so.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import NamedTuple

from ocihaul.printing import shown
from ocihaul.quantities import duration_text, size_text
from ocihaul.report.chart import Happening, chart, happenings, joined, moment, name, text
from ocihaul.report.runs import NO_RESULT, Run
from ocihaul.report.verdict import ReportVerdict, Trouble, night_of, verdict_of

#: Bytes of a page, at most.
LARGEST = 480_000


class _Extent(NamedTuple):
    """How much is shown: columns of a picture, pictures, rows, failed files of a run."""

    columns: int
    pictures: int
    rows: int
    failed: int


#: The first that fits is taken.
_ATTEMPTS = (
    _Extent(480, 100, 1000, 20),
    _Extent(240, 100, 1000, 20),
    _Extent(120, 100, 1000, 20),
    _Extent(60, 100, 1000, 20),
    _Extent(24, 100, 1000, 20),
    _Extent(12, 60, 700, 10),
    _Extent(12, 30, 500, 5),
    _Extent(12, 10, 300, 2),
    _Extent(12, 0, 100, 1),
    _Extent(12, 0, 30, 0),
)
#: What every page begins with.
DOCTYPE = "<!DOCTYPE html>"
_MOST_TROUBLES = 30
_MOST_RECEIPTS = 100
#: A list of so many lines stands open.
_SHORT_LIST = 8
_MOST_LINES = 60
_FEWEST_LINES = 15
#: A receipt is written within so long of the last line of its run.
_SOON = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """What the journal keeps of an upload. `where` is bucket and name, `row` its number there."""

    row: int
    where: str
    size: int
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContents:
    """All that a page is made of; `notes` say what could not be read."""

    runs: Sequence[Run]
    receipts: Sequence[ReceiptRow] = ()
    notes: Sequence[str] = ()
    now: datetime
    version: str


def page(contents: ReportContents) -> str:
    """The page as one HTML document."""
    text.cache_clear()  # secrets may have become known since
    verdict = verdict_of(contents.runs, contents.now)
    document = ""
    for extent in _ATTEMPTS:
        document = _Page(contents, verdict, extent).document()
        if len(document.encode()) <= LARGEST:
            break
    return document


class _Page:
    """One attempt to make it."""

    def __init__(self, contents: ReportContents, verdict: ReportVerdict, extent: _Extent) -> None:
        self._contents = contents
        self._verdict = verdict
        self._extent = extent
        all_runs = [run for night in verdict.nights for run in night.runs]
        self._runs = all_runs[: extent.rows]
        self._numbers = {run.id: index + 1 for index, run in enumerate(self._runs)}
        with_picture = [run for run in self._runs if run.timeline is not None]
        self._pictures = {run.id for run in with_picture[: extent.pictures]}
        self._cut = len(all_runs) - len(self._runs)
        self._receipts = _receipts_of(self._runs, contents.receipts)

    def document(self) -> str:
        style, script = _asset("page.css"), _asset("page.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        )
        title = f"ocihaul: {self._verdict.headline}"
        return (
            f'{DOCTYPE}\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
            f'<link rel="icon" href="data:,"><title>{text(title)}</title><style>{style}</style>'
            f"</head><body>{self._header()}<main>{self._troubles()}{self._table()}"
            f"{joined(self._sections())}{self._other_receipts()}</main>{self._footer()}"
            f'<div id="tip" role="status" hidden></div><script>{script}</script></body></html>\n'
        )

    # The answer

    def _header(self) -> str:
        verdict, runs = self._verdict, self._contents.runs
        kind = "good" if verdict.is_good and not verdict.warnings else "bad"
        if not verdict.nights or (verdict.is_good and verdict.warnings):
            kind = "so-so"
        sign = {"good": "✓", "bad": "✗", "so-so": "!"}[kind]
        facts = ""
        if runs:
            first, last = min(run.began for run in runs), max(run.last for run in runs)
            moved = sum(run.counts.moved for run in runs)
            facts = (
                f"<p>{_plural(len(runs), 'run')} in {_plural(len(verdict.nights), 'night')}, "
                f"{size_text(moved)} moved; {moment(first, unit='minutes')} to "
                f"{moment(last, unit='minutes')}</p>"
            )
        warnings = joined(f"<p class='warn'>! {text(each)}</p>" for each in verdict.warnings)
        return (
            f'<header class="{kind}"><h1><span aria-hidden="true">{sign}</span> '
            f"{text(verdict.headline)}</h1>{facts}{warnings}</header>"
        )

    def _troubles(self) -> str:
        troubles = self._verdict.troubles
        if not troubles:
            return ""
        listed = joined(map(self._trouble, troubles[:_MOST_TROUBLES]))
        rest = len(troubles) - _MOST_TROUBLES
        more = f"<li>and {rest} more, in the table below</li>" if rest > 0 else ""
        return f'<section class="troubles"><h2>What to do</h2><ul>{listed}{more}</ul></section>'

    def _trouble(self, trouble: Trouble) -> str:
        run = trouble.run
        todo = joined(f"<p>→ {text(each)}</p>" for each in trouble.todo)
        if trouble.mended_by is not None:
            done = self._link(trouble.mended_by, moment(trouble.mended_by.began, unit="minutes"))
            todo = f"<p>✓ Done since, by the run of {done}.</p>"
        when = self._link(run, moment(run.began, unit="minutes"))
        return (
            f"<li>{when} {text(run.command)} {name(run.object)}: "
            f'<span class="what">{text(trouble.what)}</span>{todo}</li>'
        )

    def _link(self, run: Run, words: str) -> str:
        number = self._numbers.get(run.id)
        return words if number is None else f'<a href="#run-{number}">{words}</a>'

    # The nights

    def _table(self) -> str:
        if not self._runs:
            return "<p>The logs that were given have no run of the time that was asked for.</p>"
        heads = joined(
            f'<th scope="col" class="{kind}">{label}</th>'
            for label, kind in self._columns_of_table()
        )
        cut = f"<p>{self._cut} older runs are left out.</p>" if self._cut else ""
        return (
            '<section><table class="nights"><caption>The nights, the latest first; a night '
            f"begins at 18:00 and bears the date of its morning</caption><thead><tr>{heads}</tr>"
            f"</thead>{joined(self._rows())}</table>{cut}</section>"
        )

    def _columns_of_table(self) -> Iterator[tuple[str, str]]:
        yield from (("Night", ""), ("Began", ""), ("What", ""), ("Result", ""))
        yield from (("Size", "n"), ("Time", "n w w2"), ("Rate", "n w"), ("Renewals", "n w"))
        yield from (("401s", "n w"), ("Retries", "n w"), ("Sent twice", "n w"))
        if self._receipts:
            yield ("Receipt", "n w")

    def _rows(self) -> Iterator[str]:
        for night in self._verdict.nights:
            those = [run for run in night.runs if run.id in self._numbers]
            if not those:
                return
            kind, sign = ("good", "✓") if night.is_good else ("bad", "✗")
            words = "ended well" if night.is_good else "did not end well"
            morning = f'<span class="w">{night.morning:%Y}-</span>{night.morning:%m-%d}'
            head = (
                f'<th scope="rowgroup" rowspan="{len(those)}"><span class="{kind}" role="img" '
                f'aria-label="{words}">{sign}</span> {morning}</th>'
            )
            rows = [self._row(run) for run in those]
            yield f"<tbody><tr>{head}{'</tr><tr>'.join(rows)}</tr></tbody>"

    def _row(self, run: Run) -> str:
        counts, receipt = run.counts, self._receipts.get(run.id)
        cells = [
            ("n", f'<span title="{run.bytes:,} bytes">{size_text(run.bytes)}</span>'),
            ("n w w2", duration_text(run.seconds)),
            ("n w", f"{size_text(run.rate)}/s"),
            ("n w", str(counts.renewals)),
            ("n w", str(counts.rejections)),
            ("n w", str(counts.retries)),
            ("n w", size_text(counts.resent) if counts.resent else "0"),
        ]
        if self._receipts:
            cells.append(("n w", "" if receipt is None else f"no. {receipt.row}"))
        rest = joined(f'<td class="{kind}">{value}</td>' for kind, value in cells)
        day = (
            ""
            if run.began.date() == night_of(run)
            else f'<span class="w">{run.began:%m-%d} </span>'
        )
        offset = run.began.isoformat(timespec="minutes")[16:]
        when = f'{day}{run.began:%H:%M}<span class="w">{offset}</span>'
        return (
            f'<td class="when">{self._link(run, when)}</td><td class="what">'
            f"<small>{text(run.command)}</small> {name(run.object)}</td>"
            f"<td>{self._state(run)}</td>{rest}"
        )

    def _state(self, run: Run) -> str:
        if self._verdict.is_under_way(run):
            return '<span class="so-so">… under way</span>'
        kind = "good" if run.is_good else "bad"
        return f'<span class="{kind}">{"✓" if run.is_good else "✗"} {text(run.state)}</span>'

    # Each run

    def _sections(self) -> Iterator[str]:
        for run in self._runs:
            yield self._section(run, self._numbers[run.id])

    def _section(self, run: Run, number: int) -> str:
        with_picture = run.id in self._pictures
        picture = ""
        if with_picture and run.timeline is not None:
            picture = chart(run, run.timeline, number_of_run=number, columns=self._extent.columns)
        elif not (run.failed_files and self._extent.failed):
            return f'<div id="run-{number}"></div>'
        return (
            f'<section class="run" id="run-{number}" aria-labelledby="h-{number}">'
            f'<h2 id="h-{number}">{moment(run.began)} {text(run.command)} {name(run.object)}</h2>'
            f"<p>{self._state(run)}{self._facts(run)}</p>{self._reason(run)}"
            f"{picture}{self._failed_files(run)}{self._list(run) if with_picture else ''}</section>"
        )

    def _facts(self, run: Run) -> str:
        counts, result = run.counts, run.result
        so_far = " so far" if run.state == NO_RESULT else ""
        facts = [
            f"{size_text(run.bytes)} in {duration_text(run.seconds)}{so_far}",
            f"{size_text(run.rate)}/s",
        ]
        if result is not None and counts.moved != run.bytes:
            facts.append(f"{size_text(counts.moved)} moved now")
        facts += [
            f"renewals {counts.renewals}",
            f"401s {counts.rejections}",
            f"retries {counts.retries}",
            f"stalls {run.stalls}",
            f"sent twice {size_text(counts.resent)}",
        ]
        if result is not None:
            facts += self._facts_of_end(run)
        return joined(f" <span class='fact'>{text(each)}</span>" for each in facts)

    def _facts_of_end(self, run: Run) -> Iterator[str]:
        result, receipt = run.result, self._receipts.get(run.id)
        if result is None:
            return
        if result.files is not None:
            files_ = result.files
            yield f"{files_.transferred} files transferred"
            yield f"{files_.unchanged} unchanged"
            yield f"{files_.deleted} deleted"
            yield f"{files_.failed} failed"
        else:
            yield f"compared {result.compared or 'nothing'}"
        if result.receipt:
            yield f"receipt {result.receipt}"
        if receipt is not None:
            yield f"receipt no. {receipt.row} of the journal"
        yield f"exit status {result.exit}"

    def _reason(self, run: Run) -> str:
        reason = run.reason or (run.result.reason if run.result is not None else None)
        if not reason:
            return ""
        hints = joined(f"<br>→ {text(each)}" for each in run.hints)
        return f'<p class="reason">{text(reason)}{hints}</p>'

    def _failed_files(self, run: Run) -> str:
        those = run.failed_files[: self._extent.failed]
        if not those:
            return ""
        rows = joined(f"<li>{name(file)}: {text(reason)}</li>" for file, reason in those)
        return f"<p>Files that failed (the first {len(those)}):</p><ul>{rows}</ul>"

    def _list(self, run: Run) -> str:
        found = happenings(run)
        if not found:
            return ""
        most = max(_FEWEST_LINES, min(_MOST_LINES, self._extent.columns // 6))
        rows = joined(_happening(run, each) for each in found[:most])
        rest = len(found) - most
        more = f"<tr><td colspan='3'>and {rest} more</td></tr>" if rest > 0 else ""
        opened = " open" if len(found) <= _SHORT_LIST else ""
        return (
            f"<details{opened}><summary>What happened ({len(found)})</summary>"
            '<table class="list"><caption class="hidden">What happened in this run</caption>'
            '<thead><tr><th scope="col">Time</th><th scope="col">After</th><th scope="col">What'
            f"</th></tr></thead><tbody>{rows}{more}</tbody></table></details>"
        )

    # What is beside the runs

    def _other_receipts(self) -> str:
        known = {receipt.row for receipt in self._receipts.values()}
        others = [each for each in self._contents.receipts if each.row not in known]
        if not others:
            return ""
        latest = sorted(others, key=lambda each: each.finished, reverse=True)
        rows = joined(
            f"<tr><td>{moment(each.finished)}</td><td>{name(each.where)}</td>"
            f'<td class="n">{size_text(each.size)}</td><td class="n">no. {each.row}</td></tr>'
            for each in latest[:_MOST_RECEIPTS]
        )
        rest = len(latest) - _MOST_RECEIPTS
        more = f"<p>and {rest} older ones</p>" if rest > 0 else ""
        return (
            '<section><table class="receipts"><caption>Uploads that the journal has a receipt of, '
            "and these logs no run</caption><thead><tr><th scope='col'>Finished</th>"
            "<th scope='col'>Object</th><th scope='col' class='n'>Size</th>"
            f"<th scope='col' class='n'>Receipt</th></tr></thead><tbody>{rows}</tbody></table>"
            f"{more}"
            "<p>Show one with: <code>ocihaul receipts show NUMBER</code></p></section>"
        )

    def _footer(self) -> str:
        notes = joined(f"<p>Note: {text(each)}</p>" for each in self._contents.notes)
        made = moment(self._contents.now)
        return (
            f"<footer>{notes}<p>Made {made} by ocihaul {text(self._contents.version)}</p></footer>"
        )


def _receipts_of(runs: Sequence[Run], receipts: Sequence[ReceiptRow]) -> dict[str, ReceiptRow]:
    by_object: dict[str, list[ReceiptRow]] = {}
    for receipt in receipts:
        by_object.setdefault(shown(receipt.where), []).append(receipt)  # as the log has it
    found = {}
    for run in runs:
        for receipt in by_object.get(run.object, ()):
            if run.began - _SOON <= receipt.finished <= run.last + _SOON:
                found[run.id] = receipt
    return found


def _happening(run: Run, each: Happening) -> str:
    at = moment(run.began + timedelta(seconds=each.at))
    when = f'<span class="w">{at[:11]}</span>{at[11:19]}<span class="w">{at[19:]}</span>'
    times = f" ({each.count} times)" if each.count > 1 else ""
    what = f"{text(each.what)}{times}"
    return f"<tr><td>{when}</td><td>{duration_text(each.at)}</td><td>{what}</td></tr>"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _asset(file: str) -> str:
    return files("ocihaul.report").joinpath(file).read_text(encoding="utf-8")
