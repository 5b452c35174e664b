"""Every option of the official CLI's commands that we have, too: by name, and by what it takes."""

import inspect
import json
from typing import Any

import click
import pytest

from ocihaul.cli.app import app

from .conftest import Official


def shape(option: click.Option) -> dict[str, Any]:
    """What an option takes; goes into their process, too."""
    choices = getattr(option.type, "choices", None)
    return {
        "takes a value": not (option.is_flag or option.count),
        "may be repeated": option.multiple,
        "choices": choices and sorted(str(choice).lower() for choice in choices),
    }


#: Prints the options of each command of two groups, and of the program itself under "".
WALK = """
import json, sys
sys.argv = ["oci", "os"]
from oci_cli.cli import cli

def walk(command, path):
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from walk(each, [*path, name])
    else:
        yield " ".join(path), command

commands = {"": cli}
for group in ("os", "session"):
    commands |= walk(cli.commands[group], [group])
print(json.dumps({
    path: {
        name: shape(option)
        for option in command.params if isinstance(option, click.Option)
        for name in [*option.opts, *option.secondary_opts]
    }
    for path, command in commands.items()
}))
"""

COMMANDS = (
    "",
    *(
        f"os object {name}"
        for name in (
            *("put", "get", "resume-put", "bulk-upload", "bulk-download", "bulk-delete", "sync"),
            *("head", "list", "delete", "rename", "copy", "restore", "restore-status"),
            *("list-object-versions", "bulk-delete-versions", "batch-delete", "reencrypt"),
            "update-storage-tier",
        )
    ),
    *(f"os ns {name}" for name in ("get", "get-metadata", "update-metadata")),
    *(f"os bucket {name}" for name in ("get", "list", "create", "update", "delete", "reencrypt")),
    *("os multipart list", "os multipart abort"),
    *(f"os preauth-request {name}" for name in ("create", "list", "get", "delete")),
    *(f"os object-lifecycle-policy {name}" for name in ("get", "put", "delete")),
    *(f"os retention-rule {name}" for name in ("create", "delete", "get", "list", "update")),
    *(f"os work-request {name}" for name in ("cancel", "get", "list")),
    *("os work-request-error list", "os work-request-log-entry list"),
    *(
        f"session {name}"
        for name in ("authenticate", "refresh", "validate", "export", "import", "terminate")
    ),
)

#: Names that we do not have on purpose, by command, and why.
OMITTED = {
    ("", "--latest-version"): "looks up releases of the official CLI",
    ("", "--release-info"): "shows its release notes",
}

#: Values that are other on purpose, by command and option, and why.
OTHERWISE = {
    (
        "",
        "--auth",
    ): "judged later, with where it came from; pkcs11 is refused",
    ("", "--enable-propagation"): "it has no effect here, whatever it says",
}


@pytest.fixture
def theirs(official: Official) -> dict[str, dict[str, Any]]:
    begin = f"import click\nfrom typing import Any\n{inspect.getsource(shape)}"
    done = official.script(begin + WALK)
    assert done.returncode == 0, done.stderr.decode()
    return dict(json.loads(done.stdout))


def ours(path: str) -> dict[str, Any]:
    """The same of our command; none if there is no such command."""
    command: click.Command | None = app
    context = click.Context(app, info_name="ocihaul", **app.context_settings)
    for name in path.split():
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
        if command is None:
            return {}
        context = click.Context(command, parent=context, info_name=name)
    assert command is not None
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    return {
        name: shape(option) for option in options for name in [*option.opts, *option.secondary_opts]
    }


def test_we_have_their_options(theirs: dict[str, dict[str, Any]]) -> None:
    assert {path for path in theirs if ours(path)} == set(COMMANDS)
    missing = {
        (path, name) for path in COMMANDS for name in theirs[path].keys() - ours(path).keys()
    }
    assert missing == OMITTED.keys()


def test_their_options_take_the_same_values(theirs: dict[str, dict[str, Any]]) -> None:
    other = {
        (path, name)
        for path in COMMANDS
        for name in theirs[path].keys() & ours(path).keys()
        if theirs[path][name] != ours(path)[name]
    }
    assert other == OTHERWISE.keys()
