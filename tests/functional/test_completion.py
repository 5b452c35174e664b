"""Completion in the shells themselves, at a terminal, by the TAB key."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.terminal import Terminal
from tests.world import World
from tests.world import world as make_world

#: How each shell begins without anybody's settings.
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
READ = {
    "bash": 'PS1="ready> "; eval "$(ocihaul completion bash)"; echo lo""aded\r',
    "zsh": 'PROMPT="ready> "; eval "$(ocihaul completion zsh)"; echo lo""aded\r',
    "fish": "ocihaul completion fish | source; echo lo''aded\r",
}


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here")
    return name


@contextmanager
def started(shell: str, w: World, **more: str) -> Iterator[Terminal]:
    """A shell that has read the script."""
    environ = w.environ() | {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "OCI_CLI_AUTH": "security_token",
        **more,
    }
    with Terminal(SHELLS[shell], environ, columns=100) as terminal:
        terminal.type(READ[shell])
        terminal.wait_for(lambda: any(row.endswith("loaded") for row in terminal.rows()))
        yield terminal


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as world:
        yield world


def completed(terminal: Terminal, typed: str, expected: str) -> None:
    """Type, press TAB, and wait until the line is `expected`."""
    terminal.type(f"{typed}\t")
    terminal.wait_for(lambda: expected in terminal.text())
    terminal.type("\x15")  # the line is cleared


def test_commands_options_and_values(shell: str, w: World) -> None:
    with started(shell, w) as terminal:
        completed(terminal, "ocihaul os object bulk-u", "ocihaul os object bulk-upload")
        completed(terminal, "ocihaul os object put --part", "ocihaul os object put --part-size")
        completed(terminal, "ocihaul --region eu-zu", "ocihaul --region eu-zurich-1")
        completed(
            terminal,
            "ocihaul os object put --if-exists rep",
            "ocihaul os object put --if-exists replace",
        )


def test_several_choices_are_shown(shell: str, w: World) -> None:
    with started(shell, w) as terminal:
        terminal.type("ocihaul session export --pro\t\t")
        terminal.wait_for(lambda: "--progress-interval" in terminal.text())
        assert "--profile" in terminal.text()


def test_finding_d09_files_profiles_and_buckets(shell: str, w: World) -> None:
    (w.home / "night-20261127.tar").touch()
    (w.home / "night-dir").mkdir()
    with started(shell, w) as terminal:
        terminal.type("cd\r")
        completed(
            terminal,
            "ocihaul os object put --file night-2",
            "ocihaul os object put --file night-20261127.tar",
        )
        completed(
            terminal,
            "ocihaul os object sync --src-dir nig",
            "ocihaul os object sync --src-dir night-dir/",
        )
        completed(terminal, "ocihaul --profile DEF", "ocihaul --profile DEFAULT")
        completed(terminal, "ocihaul os object put -bn bac", "ocihaul os object put -bn backups")
        completed(terminal, "ocihaul ls oci://bac", "ocihaul ls oci://backups/")


def test_finding_d09_a_command_of_the_official_command_line_completes_nothing_and_prints_nothing(
    shell: str, w: World
) -> None:
    with started(shell, w) as terminal:
        terminal.type("ocihaul compute inst\t")
        completed(terminal, "\x15ocihaul recei", "ocihaul receipts")
        text = terminal.text()
        for word in ("Usage", "oci-cli", "Error", "Traceback"):
            assert word not in text


@pytest.mark.parametrize(
    "name",
    [
        "cmd/$(touch gone)`touch gone`",
        "two words/a b; touch gone",
        "slash/back\\slash",
        'quotes/it\'s "here" & there',
        "colons/12:30=now",
        "scripts/夜 間",
    ],
)
def test_names_from_outside_are_completed_as_text(shell: str, w: World, name: str) -> None:
    source = w.file(3, "source")
    w.upload(source, name=name)
    directory = name.partition("/")[0]
    with started(shell, w) as terminal:
        terminal.type("cd\r")
        # First the directory, whose name may have to be quoted itself, then what is in it.
        terminal.type(f"ocihaul ls oci://backups/{directory[:3]}\t")
        terminal.wait_for(lambda: "backups/" in terminal.text() and terminal.rows()[-1][-1] == "/")
        terminal.type("\t")
        length = len(terminal.rows()[-1])
        terminal.wait_for(lambda: len(terminal.rows()[-1]) > length)
        terminal.type(" ; echo e''nded\r")
        terminal.wait_for(lambda: terminal.rows().count("ended") == 1)
        assert name.rpartition("/")[2] in terminal.rows()
    assert not (w.home / "gone").exists()


def test_a_name_that_a_line_cannot_have_is_not_completed(shell: str, w: World) -> None:
    source = w.file(3, "source")
    w.upload(source, name="odd/b\nrm")
    w.upload(source, name="odd/even")
    with started(shell, w) as terminal:
        completed(terminal, "ocihaul rm oci://backups/odd/", "ocihaul rm oci://backups/odd/even")
