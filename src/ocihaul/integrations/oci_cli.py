"""The official CLI, in this process, on our session.

`run(["os", "object", "put", …])` is `oci os object put …`: same arguments, same stdout, same exit
status. What differs is the session. Its token is renewed while the command runs, a 401 is mended
inside the call that met it, and no login is ever asked for: an expired session ends the command
with status 75 and says so on stderr.

As a program of its own, which `ocihaul exec -- oci …` runs as a child process:

    python -m ocihaul.integrations.oci_cli os object put …
"""

import os
import shlex
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from ocihaul.config.sources import with_logins
from ocihaul.errors import OcihaulError, SessionError, UsageError
from ocihaul.events import Event, Listener, Notice, RenewalFailed, SessionPaused, SessionResumed
from ocihaul.integrations.extras import OCI_CLI, is_there, require
from ocihaul.integrations.oci_cli_hooks import (
    TOKEN,
    is_session_by_default,
    redacted_debug,
    settings_for,
)
from ocihaul.printing import say, say_text
from ocihaul.session.credential import Credential
from ocihaul.session.session import Session, home_directory
from ocihaul.threads import StopSign

#: Exit statuses.
FAILED = 1
USAGE = 2
RESUMABLE = 75  # EX_TEMPFAIL of sysexits.h


def is_installed() -> bool:
    """Whether `run` can work; imports nothing."""
    return is_there(OCI_CLI)


#: What the official CLI has beside its services.
_NO_SERVICES = frozenset({"setup", "session", "raw-request"})


def has_service(name: str) -> bool:
    """Whether the official CLI is installed and `oci NAME …` is one of its commands."""
    if not is_installed():
        return False
    found = find_spec("oci_cli")  # to import it takes seconds
    places = found.submodule_search_locations if found is not None else None
    for place in places or ():
        try:
            text = (Path(place) / "service_mapping.py").read_text(encoding="utf-8")
        except OSError:
            continue
        return name in _NO_SERVICES or name in _keys(text)
    return True  # of another version: then it may have it


def _keys(source: str) -> frozenset[str]:
    """The keys of the dictionaries that a module defines; none where it cannot be read."""
    import ast

    try:
        tree = ast.parse(source)
    except SyntaxError:
        return frozenset()
    tables = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    keys = [key for table in tables if isinstance(table, ast.Dict) for key in table.keys]
    return frozenset(
        key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)
    )


def run(argv: Sequence[str], *, listener: Listener | None = None) -> int:
    """Run the official CLI with `argv` (without the program's name); returns its exit status.

    `listener` hears the session's events; without one, what a person should know is said on
    stderr. The process's argv and environment are changed meanwhile, so it is called once at a
    time, and from the main thread.
    """
    try:
        require(OCI_CLI, by=f"oci {' '.join(argv[:2])}".strip())
    except UsageError as error:
        _complain(error)
        return USAGE
    home = home_directory()
    with ExitStack() as stack:
        stack.enter_context(_as_program(["oci", *argv]))
        if is_session_by_default(argv, os.environ, home):
            stack.enter_context(_environment("OCI_CLI_AUTH", TOKEN))
        # The CLI loads the modules of one service, the one in sys.argv, at import.
        from oci_cli.cli import cli

        from ocihaul.integrations.oci_cli_hooks import joined

        stack.enter_context(redacted_debug())
        sessions = stack.enter_context(_Sessions(listener or speak, home))
        try:
            stack.enter_context(joined(sessions.signer))
        except UsageError as error:
            _complain(error)
            return FAILED
        status = _call(cli)
        if sessions.error is not None and status != 0:
            _complain(sessions.error)
            return _status_of(sessions.error)
        if isinstance(status, str):
            say_text(sys.stderr, status)  # as Python does at exit
            return FAILED
        return status


def _call(cli: Any) -> int | str:
    """The exit status of the click command `cli`, or the last words it would have had."""
    try:
        cli(prog_name="oci")
    except SystemExit as ended:
        if ended.code is None:
            return 0
        return ended.code
    except OcihaulError:
        return FAILED  # with --debug it comes as it is; its sessions remember it
    except Exception:  # noqa: BLE001  with --debug, the CLI lets everything through to Python
        say_text(sys.stderr, traceback.format_exc().rstrip())  # as Python does
        return FAILED
    return 0


class _Sessions:
    """The sessions of one run, each opened when a command first asks for its signer."""

    def __init__(self, listener: Listener, home: Path) -> None:
        self.error: OcihaulError | None = None
        self._listener = listener
        self._home = home
        self._lock = threading.Lock()  # guards the table: commands may build clients in threads
        self._signers: dict[tuple[object, ...], Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def signer(self, client_config: dict[str, Any]) -> Any:
        """What the CLI gets from its `get_session_token_signer`."""
        try:
            with self._lock:
                return self._signer(client_config)
        except OcihaulError as error:
            self.error = self.error or error
            raise

    def _signer(self, client_config: Mapping[str, Any]) -> Any:
        from ocihaul.integrations.oci_sdk import SessionSigner

        told, command = _context()
        settings = settings_for(client_config, told, os.environ, self._home, command=command)
        key = (settings.token_file, settings.key_file)
        if key not in self._signers:
            for text in settings.notices:
                self._listener(Notice(text))
            session = Session.from_settings(
                settings,
                listener=self._listener,
                session_wait=settings.session_options.session_wait,
            )
            self._open.enter_context(session)
            session.ensure_valid()  # an expired session ends the command before it begins
            self._signers[key] = SessionSigner(_Failing(session, self))
        return self._signers[key]


class _Failing:
    """A credential provider that fails for good once it has failed.

    The CLI goes on with the other parts when one has failed; without this, each would wait for a
    session that does not come back. And it turns our error into a line: here it is kept.
    """

    def __init__(self, session: Session, sessions: _Sessions) -> None:
        self._session = session
        self._sessions = sessions

    def credential(self, cancel: StopSign | None = None) -> Credential:
        with self._remembering():
            return self._session.credential(cancel)

    def ensure_valid(self) -> None:
        with self._remembering():
            self._session.ensure_valid()

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        with self._remembering():
            return self._session.handle_unauthorized(credential, operation, cancel)

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        if isinstance(self._sessions.error, SessionError):
            raise self._sessions.error
        try:
            yield
        except SessionError as error:
            self._sessions.error = error
            raise


def speak(event: Event) -> None:
    """The default listener: what a person should know, on stderr."""
    match event:
        case Notice(text):
            _say(text)
        case RenewalFailed(provider, reason, next_try_in):
            then = "no further try" if next_try_in is None else f"next try in {next_try_in:.0f} s"
            _say(f"renewing the session ({provider}) failed: {reason}; {then}")
        case SessionPaused(reason, _, cure):
            _say(f"waiting for a new login: {reason}" + (f". {cure}" if cure else ""))
        case SessionResumed():
            _say("a new token is there: going on")


def _say(text: str) -> None:
    say(sys.stderr, f"ocihaul: {with_logins(text, _login)}")


def _complain(error: OcihaulError) -> None:
    say_text(sys.stderr, with_logins(f"Error: {error}", _login))


def _login(profile: str | None) -> str:
    """The official command; ours writes the same files."""
    named = f" --profile-name {shlex.quote(profile)}" if profile else ""
    return f"oci session authenticate{named}"


def _status_of(error: OcihaulError) -> int:
    if isinstance(error, UsageError):
        return USAGE
    return RESUMABLE if error.resumable else FAILED


def _context() -> tuple[Mapping[str, Any], Sequence[str]]:
    """The CLI's global options and the words of its command, where one is running."""
    import click

    context = click.get_current_context(silent=True)
    if context is None:
        return {}, ()
    return context.obj or {}, tuple(context.command_path.split()[1:])


@contextmanager
def _as_program(argv: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
