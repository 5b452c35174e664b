"""`--help`: groups, where the global options are, and examples that can be run."""

import shlex
from collections.abc import Iterator

import click
import pytest

from ocihaul.cli.app import app, run
from ocihaul.cli.help import all_examples, examples_of, option_groups


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command of ours by its path, but for groups."""
    yield from below(app, click.Context(app, info_name="ocihaul"))


def below(
    group: click.Group, context: click.Context
) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        here = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from below(command, here)
        else:
            yield here.command_path.partition(" ")[2], command, here


COMMANDS = {path: (command, context) for path, command, context in commands()}


def test_finding_d08_each_command_has_two_examples_and_no_example_is_of_another() -> None:
    assert {path for path in COMMANDS if len(all_examples().get(path, ())) < 2} == set()
    assert set(all_examples()) <= set(COMMANDS)
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_its_examples_can_be_parsed(path: str) -> None:
    command, context = COMMANDS[path]
    for _, line in examples_of(path):
        words = shlex.split(line.replace("\\\n", ""))
        for end in ("|", ">", "<", "&&"):
            words = words[: words.index(end)] if end in words else words
        depth = len(path.split()) + 1
        assert words[:depth] == ["ocihaul", *path.split()]
        command.make_context(path, words[depth:], parent=context.parent)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_finding_d08_each_option_is_in_one_group_and_the_end_says_where_the_others_are(
    path: str,
) -> None:
    command, context = COMMANDS[path]
    shown = [
        each
        for each in command.get_params(context)
        if isinstance(each, click.Option) and not each.hidden
    ]
    grouped = [each for _, options in option_groups(command, context) for each in options]
    assert sorted(map(id, grouped)) == sorted(map(id, shown))
    text = command.get_help(context)
    assert "Examples:\n" in text
    assert "ocihaul --help" in text
    for line in text.splitlines():
        assert len(line) <= 80, line


def test_a_group_shows_the_whole_first_sentence_of_each_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in ([], ["os"], ["os", "object"], ["session"]):
        assert run([*words, "--help"]) == 0
        said = capsys.readouterr().out
        assert "..." not in said.partition("Commands:")[2], said


def test_finding_d07_help_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for words in (["--help"], ["session", "--help"], ["help", "uploads"]):
        assert run(words) == 0
        wide = [line for line in capsys.readouterr().out.splitlines() if len(line) > 40]
        assert all("ocihaul" in line or " --" in line for line in wide), wide


def test_what_is_missing_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion"]) == 2
    assert "Choose from: bash, zsh, fish" in capsys.readouterr().err
    assert run(["os", "object", "put"]) == 2
    assert "\nGive them on the command line" in capsys.readouterr().err
    assert run(["os", "object", "put", "-bn", "b"]) == 2
    assert "\nGive it on the command line" in capsys.readouterr().err


def test_options_of_a_transfer_stand_in_groups() -> None:
    command, context = COMMANDS["os object put"]
    groups = dict(option_groups(command, context))
    assert list(groups)[:2] == ["Files and objects", "What is there already"]
    assert {each.name for each in groups["Encryption"]} == {
        "encryption_key_file",
        "opc_sse_kms_key_id",
    }
    assert {each.name for each in groups["Other options"]} == {"from_json", "_click_default_help"}


def test_the_global_options_stand_in_groups_in_the_help_of_the_program() -> None:
    context = click.Context(app, info_name="ocihaul")
    groups = dict(option_groups(app, context))
    assert list(groups) == [
        "Who and where",
        "Session",
        "Network",
        "Answer",
        "Log",
        "Other options",
    ]
    assert {each.name for each in groups["Other options"]} == {"version", "_click_default_help"}
    text = app.get_help(context)
    assert text.index("Who and where:") < text.index("Log:") < text.index("Commands:")
