"""`ocihaul completion SHELL`, and what a shell may complete, for a line up to the cursor.

A shell's script (`completion_scripts/`) calls `ocihaul` with _OCIHAUL_COMPLETE in its environment
and the words up to the cursor. The answer has three lines for each choice: kind, value and help.
The kinds: `value`; `file` and `dir`, which the shell completes itself. Whatever goes wrong, nothing
is said: a person is in the middle of a line.

Names of buckets and objects are asked for only where a session is alive, or an API key signs:
nothing is renewed, and no login is asked for. What takes too long is left out.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING

import click

from ocihaul.cli.global_options import Given, global_options

if TYPE_CHECKING:
    from ocihaul.client import Client
    from ocihaul.config import Settings


_FILES = frozenset(
    [
        "file",
        "config_file",
        "cli_rc_file",
        "cert_bundle",
        "log_file",
        "metrics_file",
        "encryption_key_file",
        "source_encryption_key_file",
        "receipt",
        "public_key_file_path",
        "output_file",
        "session_archive",
        "from_json",
        "paths",
    ]
)
_DIRECTORIES = frozenset(["src_dir", "dest_dir", "spool_dir", "config_location", "token_location"])
_PROFILES = frozenset(["profile", "profiles", "renew_with"])
_REGIONS = frozenset(["region", "destination_region"])
_BUCKETS = frozenset(["bucket_name", "buckets", "destination_bucket"])
#: Characters of a help text.
_LONGEST_HELP = 60


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that may stand there."""

    value: str
    help: str = ""
    kind: str = "value"


@dataclass(slots=True)
class Line:
    """A command line up to the word that is being typed."""

    context: click.Context
    #: Values of options by parameter names.
    values: dict[str, str]
    #: The option whose value is being typed.
    option: click.Option | None = None
    #: How many arguments stand there already.
    arguments: int = 0
    #: A command that is not ours, or what follows `--`: nothing is known of it.
    foreign: bool = False


def answer(root: click.Group, words: Sequence[str]) -> int:
    """Print the choices for the last of `words`; returns the exit status, 0."""
    from ocihaul.printable import one_line
    from ocihaul.printing import write_lines

    try:
        # A name that one line cannot have would be completed to another one.
        found = [each for each in choices(root, words) if one_line(each.value) == each.value]
    except Exception:  # noqa: BLE001  see above
        return 0
    write_lines(sys.stdout, (text for each in found for text in (each.kind, each.value, each.help)))
    return 0


def choices(root: click.Group, words: Sequence[str]) -> Iterator[Choice]:
    """What may stand in the place of the last of `words` (it may be empty)."""
    *before, typed = words or [""]
    line = read_line(root, before)
    if line.foreign:
        return
    if line.option is not None:
        yield from _values(line.option, line, typed)
    elif typed.startswith("-"):
        name, equals, value = typed.partition("=")
        if equals:
            option = _option(line.context, name)
            if option is not None and not option.is_flag:
                for each in _values(option, line, value):
                    prefix = "" if each.kind != "value" else f"{name}="
                    yield Choice(f"{prefix}{each.value}", each.help, each.kind)
            return
        yield from _option_names(line.context, typed)
    elif isinstance(line.context.command, click.Group):
        yield from _commands(line.context.command, line.context, typed)
    else:
        yield from _arguments(line, typed)


def read_line(root: click.Group, words: Sequence[str]) -> Line:
    """Follow the words to the command that they lead to."""
    context = click.Context(root, info_name="ocihaul", obj=Given())
    line = Line(context, {})
    for word in words:
        if line.foreign:
            break
        if line.option is not None:
            line.values[line.option.name or ""] = word
            line.option = None
        elif word == "--":
            line.foreign = isinstance(line.context.command, click.Group) or line.arguments == 0
        elif word.startswith("-") and word != "-":
            _take_option(line, word)
        else:
            _take_word(line, word)
    return line


def _take_option(line: Line, word: str) -> None:
    name, equals, value = word.partition("=")
    option = _option(line.context, name)
    if option is None or option.is_flag or option.count:
        return
    if equals:
        line.values[option.name or ""] = value
    else:
        line.option = option


def _take_word(line: Line, word: str) -> None:
    group = line.context.command
    if not isinstance(group, click.Group):
        line.arguments += 1
        return
    command = group.get_command(line.context, word)
    if command is None:
        line.foreign = True
        return
    line.context = click.Context(command, info_name=word, parent=line.context)


def _option(context: click.Context, name: str) -> click.Option | None:
    """The option of that name; the global ones work everywhere."""
    here: click.Context | None = context
    while here is not None:
        for each in here.command.get_params(here):
            if isinstance(each, click.Option) and name in (*each.opts, *each.secondary_opts):
                return each
        here = here.parent
    return None


def _option_names(context: click.Context, typed: str) -> Iterator[Choice]:
    """Those of the command first, then the global ones."""
    seen: set[str] = set()
    for here in (context, context.find_root()):
        for option in here.command.get_params(here):
            if not isinstance(option, click.Option) or option.hidden:
                continue
            # The name that is written out most, where what is typed does not ask for another.
            names = sorted(option.opts, key=lambda name: not name.startswith("--"))
            name = next((each for each in names if each.startswith(typed)), None)
            if name is not None and name not in seen:
                seen.add(name)
                yield Choice(name, _short(option.help))


def _short(text: str | None) -> str:
    """The first sentence of a help text, in one line."""
    first = " ".join((text or "").split()).split(". ")[0]
    return first if len(first) <= _LONGEST_HELP else f"{first[:_LONGEST_HELP]}…"


def _commands(group: click.Group, context: click.Context, typed: str) -> Iterator[Choice]:
    for name in group.list_commands(context):
        if name.startswith(typed):
            command = group.get_command(context, name)
            if command is not None and not command.hidden:
                yield Choice(name, _short(command.get_short_help_str(_LONGEST_HELP)))


def _arguments(line: Line, typed: str) -> Iterator[Choice]:
    arguments = [each for each in line.context.command.params if isinstance(each, click.Argument)]
    if not arguments:
        return
    which = arguments[min(line.arguments, len(arguments) - 1)]
    if isinstance(which.type, click.Choice):
        yield from (Choice(each) for each in which.type.choices if each.startswith(typed))
    elif which.name in {"uris", "paths"}:
        yield from _addresses(line, typed, files=which.name == "paths")
    elif which.name == "receipt":
        yield Choice("", kind="file")
    elif which.name == "command" and line.context.info_name == "help":
        yield from _commands(_root(line), line.context.find_root(), typed)


def _addresses(line: Line, typed: str, *, files: bool) -> Iterator[Choice]:
    """Buckets, and behind one its objects, a prefix at a time."""
    from ocihaul.cli.shell.uri import SCHEME

    place, slash, name = typed.removeprefix(SCHEME).partition("/")
    if not typed.startswith(SCHEME):
        if SCHEME.startswith(typed):
            yield Choice(SCHEME)
        if files and not (typed and SCHEME.startswith(typed)):
            yield Choice("", kind="file")
    elif slash:
        bucket, _, namespace = place.partition("@")
        for each in object_names(line.values, namespace or None, bucket, name):
            yield Choice(f"{SCHEME}{place}/{each}")
    else:
        for each in bucket_names(line.values):
            if each.startswith(place):
                yield Choice(f"{SCHEME}{each}/")


def _root(line: Line) -> click.Group:
    root = line.context.find_root().command
    if not isinstance(root, click.Group):
        raise TypeError("the program is a group")
    return root


def _values(option: click.Option, line: Line, typed: str) -> Iterator[Choice]:
    """What an option takes."""
    name = option.name or ""
    if isinstance(option.type, click.Choice):
        yield from (
            Choice(each) for each in option.type.choices if each.lower().startswith(typed.lower())
        )
    elif name in _DIRECTORIES:
        yield Choice("", kind="dir")
    elif name in _FILES:
        yield Choice("", kind="file")
    else:
        for names, find in _FINDERS:
            if name in names:
                yield from (Choice(each) for each in find(line) if each.startswith(typed))


def _profiles(line: Line) -> Iterator[str]:
    from ocihaul.cli.process import environment_and_home
    from ocihaul.config import Flags, profile_names

    environ, home = environment_and_home()
    yield from profile_names(Flags(config_file=line.values.get("config_file")), environ, home)


def _regions(_line: Line) -> Iterator[str]:
    from ocihaul.endpoints import tables

    yield from sorted(tables().realm_of)


def _buckets(line: Line) -> Iterator[str]:

    yield from bucket_names(line.values)


_FINDERS: tuple[tuple[frozenset[str], Callable[[Line], Iterator[str]]], ...] = (
    (_PROFILES, _profiles),
    (_REGIONS, _regions),
    (_BUCKETS, _buckets),
)


SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@global_options(hidden=True)
def completion(shell: str) -> None:
    """Print the script that completes commands, options and their values in a SHELL.

    Files, profiles and regions are completed, and buckets where a session is alive. It has to be
    read by the shell: eval "$(ocihaul completion bash)" in ~/.bashrc, the same with zsh in
    ~/.zshrc; for fish write it to ~/.config/fish/completions/ocihaul.fish.
    """
    from ocihaul.printing import write_lines

    write_lines(sys.stdout, script_of(shell).splitlines())


def script_of(shell: str) -> str:
    """The script for one of SHELLS."""
    place = files("ocihaul.cli").joinpath("completion_scripts", f"ocihaul.{shell}")
    return place.read_text(encoding="utf-8")


#: How long a person in the middle of a line waits, seconds.
PATIENCE = 2.0
#: Names at most.
_MOST = 1000


def bucket_names(values: Mapping[str, str]) -> Sequence[str]:
    """The buckets of the tenancy; `values` are those of the line's options."""
    settings = _settings(values)

    def ask(client: "Client") -> Iterator[str]:
        namespace = values.get("namespace") or client.namespace
        compartment = values.get("compartment_id") or settings.tenancy
        if compartment is not None:
            for each in client.storage.list_buckets(namespace, compartment):
                yield str(each["name"])

    return _asked(settings, ask)


def object_names(
    values: Mapping[str, str], namespace: str | None, bucket: str, prefix: str
) -> Sequence[str]:
    """The objects under a prefix as a directory has them: those below end with "/"."""
    from ocihaul.storage.values import Selection

    def ask(client: "Client") -> Iterator[str]:
        selection = Selection(prefix=prefix, delimiter="/")
        where = (namespace or client.namespace, bucket)
        for page in client.storage.list_objects(*where, selection):
            yield from page.prefixes
            yield from (each.name for each in page.objects)

    return _asked(_settings(values), ask)


def _settings(values: Mapping[str, str]) -> "Settings":
    from ocihaul.cli.process import environment_and_home
    from ocihaul.config import Flags, resolve

    names = ("config_file", "profile", "cli_rc_file", "auth", "region", "endpoint", "cert_bundle")
    flags = Flags(**{name: values[name] for name in names if name in values})  # type: ignore[arg-type]
    environ, home = environment_and_home()
    settings = resolve(flags, environ, home, command=("os", "bucket", "list"))
    short = PATIENCE / 2
    return replace(
        settings,
        connection_timeout=min(settings.connection_timeout, short),
        read_timeout=min(settings.read_timeout, short),
        max_attempts=1,
        unreachable=0.0,
        minting=None,
    )


def _asked(settings: "Settings", ask: Callable[["Client"], Iterator[str]]) -> Sequence[str]:
    """What a client that renews nothing is told within `PATIENCE`."""
    from ocihaul.client import Client
    from ocihaul.errors import OcihaulError
    from ocihaul.session.diagnostics.probe import present_credential
    from ocihaul.threads import started

    credentials = None
    if settings.auth == "security_token":
        credentials = present_credential(settings)
        if credentials is None:
            return ()
    elif settings.auth != "api_key":
        return ()  # the SDK's principals may take long to open
    found: list[str] = []
    cancel = threading.Event()

    def work() -> None:
        with (
            suppress(OcihaulError),  # then there are no names to choose from
            Client(settings, cancel=cancel, credentials=credentials) as client,
        ):
            found.extend(islice(ask(client), _MOST))

    thread = threading.Thread(target=work, name="completion", daemon=True)
    if started(thread):
        thread.join(PATIENCE)
    cancel.set()
    return list(found)
