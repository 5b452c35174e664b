"""Commands are imported when they are asked for; each has the name it is known by."""

import subprocess
import sys

import click
import pytest

from ocihaul.cli.app import app
from ocihaul.cli.groups import LazyGroup


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, (*path, name)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


def test_every_place_is_that_of_a_command_with_this_name() -> None:
    found = commands(app)
    assert len(found) > 40
    assert {(name, command.name) for name, command in found if name != command.name} == {
        ("authenticate", "login")
    }


def test_a_place_without_a_command_is_an_error() -> None:
    group = LazyGroup("group")
    group.add_places({"wrong": "process:DONE"})
    with pytest.raises(TypeError, match="process:DONE is no command"):
        group.get_command(click.Context(group), "wrong")


def test_a_command_does_not_import_the_others() -> None:
    program = (
        "import sys; from ocihaul.cli.app import app; import click;"
        "app.get_command(click.Context(app), 'doctor');"
        "print(sorted(n for n in sys.modules if n.startswith('ocihaul.cli.')))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert "ocihaul.cli.doctor" in loaded
    assert "ocihaul.cli.session.renew" not in loaded
    assert "ocihaul.cli.objects.put" not in loaded
