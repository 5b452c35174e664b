"""What a person sees at a terminal while something is transferred."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.terminal import Terminal
from tests.world import MIB, World
from tests.world import world as make_world

BAR = re.compile(r"\[(?=[#.]{4})#*\.*\]")
#: Bytes per second at which the emulator takes them: a transfer lasts for some drawings.
SLOW = 6 * MIB


def at_terminal(w: World, columns: int, *args: str, term: str = "xterm", **more: str) -> Terminal:
    environ = w.environ() | {"LANG": "C.UTF-8"} | more
    return Terminal([sys.executable, "-m", "ocihaul", *args], environ, columns=columns, term=term)


def put(w: World, size: int, *more: str) -> tuple[str, ...]:
    source = w.file(size)
    return (
        *("os", "object", "put", "-bn", "backups", "-ns", w.oci.namespace),
        *("--file", str(source), "--force", "--auth", "security_token", *more),
    )


def bulk(w: World, files: int, size: int) -> tuple[str, ...]:
    root = w.home / "tree"
    root.mkdir()
    for number in range(files):
        w.file(size, f"f{number}").rename(root / f"f{number}")
    return (
        *("os", "object", "bulk-upload", "-bn", "backups", "-ns", w.oci.namespace),
        *("--src-dir", str(root), "--overwrite", "--auth", "security_token"),
    )


class Bars:
    """The row with the bar, each time that something was drawn."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.seen: list[str] = []
        self.most = 0
        terminal.look = self.look

    def look(self) -> None:
        bars = [row for row in self._terminal.rows() if BAR.search(row)]
        self.most = max(self.most, len(bars))
        self.seen += bars[-1:]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_finding_d07_the_bar_of_an_object_is_one_row_and_goes_at_the_end(
    tmp_path: Path, columns: int
) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        with at_terminal(w, columns, *put(w, 12 * MIB)) as terminal:
            bars = Bars(terminal)
            assert terminal.wait() == 0
        assert len(set(bars.seen)) > 2
        assert bars.most == 1
        for row in bars.seen:
            assert re.search(r"\d+%", row), row
            assert re.search(r"[KM]iB/s|starting", row), row
            assert BAR.match(row), row
        assert not BAR.search(terminal.text())
        assert "RESULT done" in terminal.text().replace("\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 80, 120])
def test_finding_d03_a_directory_has_a_bar_with_files_and_bytes(
    tmp_path: Path, columns: int
) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        with at_terminal(w, columns, *bulk(w, 12, 2 * MIB)) as terminal:
            bars = Bars(terminal)
            assert terminal.wait() == 0
        last = bars.seen[-1]
        assert bars.most == 1
        assert re.search(r"\d+/12", last), last
        assert re.search(r"\d+%", last)
        assert "iB/s" in last
        if columns >= 80:
            assert re.search(r"of 24\.0 MiB|/24\.0 MiB", last), last
        assert not BAR.search(terminal.text())


@pytest.mark.slow
def test_finding_d07_a_resize_in_the_middle_leaves_no_rest_of_the_old_bar(tmp_path: Path) -> None:
    with (
        make_world(tmp_path, bandwidth=SLOW) as w,
        at_terminal(w, 120, *put(w, 18 * MIB)) as terminal,
    ):
        bars = Bars(terminal)
        terminal.wait_for(lambda: len(set(bars.seen)) > 1)
        for columns in (40, 100, 60):
            terminal.resize(columns)
            before = len(bars.seen)
            terminal.wait_for(lambda before=before: len(bars.seen) > before + 1)  # type: ignore[misc]
            row = bars.seen[-1]
            assert len(row) < columns
            assert len(row) > columns - 25, row  # and it uses what there is
        assert bars.most == 1
        assert terminal.wait() == 0


@pytest.mark.slow
def test_finding_d07_a_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        argv = put(w, 12 * MIB, "--progress-interval", "1")
        with at_terminal(w, 80, *argv, term="dumb") as terminal:
            assert terminal.wait() == 0
        assert b"\x1b" not in terminal.raw
        assert re.search(r"\d+% \(\d", terminal.text())


@pytest.mark.parametrize("no_color", ["", "1"])
def test_no_color_leaves_the_colours_out(tmp_path: Path, no_color: str) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        with at_terminal(w, 80, *put(w, 6 * MIB), NO_COLOR=no_color) as terminal:
            bars = Bars(terminal)
            assert terminal.wait() == 0
        assert bars.seen
        assert (b"\x1b[36m" in terminal.raw) is not bool(no_color)


@pytest.mark.slow
def test_a_question_has_the_terminal_for_itself(tmp_path: Path) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        argv = bulk(w, 6, 4 * MIB)
        assert w.run(*argv).code == 0
        asking = [word for word in argv if word != "--overwrite"]
        with at_terminal(w, 100, *asking) as terminal:
            terminal.wait_for(lambda: "yes to (a)ll]:" in terminal.text())
            terminal.type("a\r")
            bars = Bars(terminal)
            assert terminal.wait() == 0
        assert bars.seen
        assert terminal.text().count("Are you sure") == 1


@pytest.mark.slow
def test_in_the_background_no_bar_is_drawn_over_what_is_typed(tmp_path: Path) -> None:
    with make_world(tmp_path, bandwidth=SLOW) as w:
        words = shlex.join([sys.executable, "-m", "ocihaul", *put(w, 12 * MIB)])
        shell = ["bash", "--norc", "--noprofile", "-i"]
        with Terminal(shell, w.environ() | {"PS1": "ready> "}, columns=200) as terminal:
            bars = Bars(terminal)
            terminal.type(f"{words} &\r")
            terminal.wait_for(lambda: "RESULT done" in terminal.text())
            assert bars.most == 0
            assert b"\x1b[J" not in terminal.raw
            terminal.type(f"clear; {words}\r")
            terminal.wait_for(lambda: bars.most == 1)
            terminal.wait_for(lambda: "RESULT done" in terminal.text())


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("what", ["bucket", "object"])
def test_finding_d12_a_table_fits_the_terminal(tmp_path: Path, columns: int, what: str) -> None:
    with make_world(tmp_path) as w:
        source = w.file(1000)
        name = "2026/11/" + "a-long-name-" * 5 + "日本語.tar"
        w.upload(source, name=name)
        words = ("os", what, "list", "-ns", w.oci.namespace, "--output", "table")
        more = (
            ("--compartment-id", "ocid1.tenancy.oc1..emulated")
            if what == "bucket"
            else ("-bn", "backups")
        )
        argv = (*words, *more, "--auth", "security_token")
        with at_terminal(w, columns, *argv) as terminal:
            assert terminal.wait() == 0, terminal.text()
            lines = [row for row in terminal.text().splitlines() if row[:1] in {"+", "|"}]
        piped = w.run(*argv)
    # A line that is broken by the terminal has its border within the next one.
    assert lines
    assert all(row[0] == row[-1] for row in lines), terminal.text()
    text = "".join(row.split("|")[-2].strip() for row in lines if row[0] == "|")
    wanted = name if what == "object" else "backups"
    assert wanted in text.replace(" ", "")
    assert max(map(len, piped.out.splitlines())) > 90
    assert wanted in piped.out
