"""The programs that `make bench` measures, as its command line names them."""

import argparse
from pathlib import Path

import pytest

from bench import run
from bench.peers import OURS, Programs, named_command


def test_another_version_is_measured_in_the_place_of_ours(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.touch()
    official = Path("/bin/oci")
    programs = Programs(Path("/bin/ours"), official, beside=(named_command(f"0.0.9={older}"),))
    measured = {name: (each.ocihaul, each.official) for name, each in programs.each_ocihaul()}
    assert measured == {OURS: (Path("/bin/ours"), official), "0.0.9": (older, official)}


@pytest.mark.parametrize("text", ["", "older", "=/bin/sh", "older=", "older=/nowhere/at/all"])
def test_another_version_has_a_name_and_is_there(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=COMMAND"):
        named_command(text)


def test_the_command_line_of_the_makefile_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--ocihaul", "/a/ocihaul", "--official", "/b/oci", "--rclone", "/b/rclone"]
    monkeypatch.setattr("sys.argv", ["bench", *words, "--beside", "sh=/bin/sh"])
    programs = run.programs_of(run.read_options())
    assert programs == Programs(
        Path("/a/ocihaul"), Path("/b/oci"), Path("/b/rclone"), (("sh", Path("/bin/sh")),)
    )
