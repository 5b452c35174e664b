"""What the library calls its parameters, in the command line's words."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ocihaul
from ocihaul.cli.app import app
from ocihaul.cli.error_text import in_flags
from ocihaul.config.sources import login_command

_SOURCE = Path(ocihaul.__file__).parent
_FLAG = re.compile(r"--[a-z][a-z0-9-]+")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`region`: 'x y'", "--region: 'x y'"),
        ("`part_size`: 7 bytes", "--part-size: 7 bytes"),
        ("Pass `existing=IfExists.REPLACE`.", "Pass --force."),
        ("or `existing=IfExists.KEEP`", "or --no-overwrite"),
        ("say `auth='security_token'`", "say --auth security_token"),
        ("`multipart=False` and `bucket`", "--no-multipart and --bucket-name"),
        ("`delete=True`", "--delete"),
        ("run it without `executor`", "run it without --dask"),
        ("pack it with `tar -c` or `A`", "pack it with `tar -c` or `A`"),
        ("nothing to do", "nothing to do"),
        (
            (
                "Resume it: `upload(namespace='n', bucket='b', name='a b)`', source='f', "
                "upload_id='u', part_size=10485760)` or drop it: "
                "`abort_multipart_upload(namespace='n', bucket='b', name=\"it's\", "
                "upload_id='u')`; `part_size`"
            ),
            (
                "Resume it: ocihaul os object resume-put -ns n -bn b --name 'a b)`' --file f "
                "--upload-id u --part-size 10 or drop it: ocihaul os multipart abort -ns n -bn b "
                "-on 'it'\"'\"'s' --upload-id u; --part-size"
            ),
        ),
        (
            "`upload(source='f', part_size=10485761)`",
            "ocihaul os object resume-put --file f --part-size 10485761B",
        ),
        (
            "`delete_preauthenticated_request(namespace='n', bucket='b', par_id='p/1+=:x')`",
            "ocihaul os preauth-request delete -ns n -bn b --par-id p/1+=:x",
        ),
        ("`list_incomplete_uploads(bucket='b')`", "ocihaul uploads -bn b"),
        (
            f"Log in: {login_command()}; or else",
            "Log in: ocihaul session login (or: oci session authenticate); or else",
        ),
        (
            f"{login_command('n')} or `profile`",
            (
                "ocihaul session login --profile-name n (or: oci session authenticate "
                "--profile-name n) or --profile"
            ),
        ),
        (
            login_command("it's (\\ \")"),
            (
                "ocihaul session login --profile-name 'it'\"'\"'s (\\ \")' (or: oci session "
                "authenticate --profile-name 'it'\"'\"'s (\\ \")')"
            ),
        ),
        (
            "`upload(source=open('f'))` is no text of ours",
            "`upload(source=open('f'))` is no text of ours",
        ),
    ],
)
def test_parameters_become_flags(text: str, said: str) -> None:
    assert in_flags(text) == said


def parameters_named() -> Iterator[tuple[str, str]]:
    """Each parameter in backticks in a text below cli/, with the module that names it."""
    for path in sorted(_SOURCE.rglob("*.py")):
        room = path.relative_to(_SOURCE).parts[0]
        if room in {"cli", "emulator"}:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in docstrings
            ):
                for named in re.findall(r"`[a-z][^`]*`", node.value):
                    yield named, str(path.relative_to(_SOURCE))


def flags_of(command: click.Command, context: click.Context) -> Iterator[str]:
    """The flags of a command and of all below it."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from flags_of(below, context)


def test_every_parameter_that_a_text_names_has_a_flag() -> None:
    known = set(flags_of(app, click.Context(app)))
    named = dict(parameters_named())
    assert len(named) > 10
    for parameter, where in named.items():
        said = in_flags(parameter)
        assert said != parameter, f"{where}: {parameter} is no parameter"
        for flag in _FLAG.findall(said):
            assert flag in known, f"{where}: {parameter} would be {flag}, which no command has"
