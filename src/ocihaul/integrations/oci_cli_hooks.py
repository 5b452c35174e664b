"""The places where the official CLI is joined to our session: its settings, its signer, its log."""

import builtins
import http.client
import inspect
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ocihaul.config import Flags, Settings, load_rc, profile_name, resolve
from ocihaul.config.profile import choose_auth
from ocihaul.config.sources import Places, expand_home, read_section
from ocihaul.errors import OcihaulError, UsageError
from ocihaul.integrations.extras import OCI_CLI, installing, versions
from ocihaul.redaction import mask_held, redact

TOKEN = "security_token"  # noqa: S105  a way to authenticate
_QUIET = {"OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True"}  # the official CLI says it itself


def given(argv: Sequence[str], *names: str) -> str | None:
    """The last value given to an option, written as `--name value` or `--name=value`."""
    value = None
    for index, word in enumerate(argv):
        for name in names:
            if word == name and index + 1 < len(argv):
                value = argv[index + 1]
            elif word.startswith(f"{name}="):
                value = word.partition("=")[2]
    return value


def is_session_by_default(argv: Sequence[str], environ: Mapping[str, str], home: Path) -> bool:
    """Whether it is not said how to authenticate, and the profile is one of a session.

    The official CLI would try its key as an API key, and fail.
    """
    if given(argv, "--auth") or environ.get("OCI_CLI_AUTH"):
        return False
    flags = Flags(
        config_file=given(argv, "--config-file"),
        profile=given(argv, "--profile"),
        cli_rc_file=given(argv, "--cli-rc-file", "--defaults-file"),
    )
    try:
        rc = load_rc(flags, environ, home)
        places = Places(environ, rc, profile_name(flags, environ, rc), ())
        if places.default("auth") is not None:
            return False
        section = read_section(flags, places, home, region_known=True)
        return choose_auth(flags, places, section)[0] == TOKEN
    except OcihaulError:
        return False  # the official CLI finds the same, and has its own words for it


def settings_for(
    client_config: Mapping[str, Any],
    told: Mapping[str, Any],
    environ: Mapping[str, str],
    home: Path,
    *,
    command: Sequence[str] = (),
) -> Settings:
    """Our settings for the session that the official CLI is about to use.

    `told` is the click context's object, with the global options. An expired session ends
    the command unless OCIHAUL_SESSION_WAIT or the rc file says to wait: callers such as kubectl
    want to be told. Raises ConfigError, UsageError.
    """
    flags = Flags(
        config_file=told.get("config_file"),
        profile=told.get("profile"),
        cli_rc_file=_existing(told.get("cli_rc_file"), home),
        auth=TOKEN,
        region=client_config.get("region") or told.get("region"),
        endpoint=told.get("endpoint"),
        cert_bundle=told.get("cert_bundle"),
        connection_timeout=told.get("connection_timeout"),
        read_timeout=told.get("read_timeout"),
        proxy=told.get("proxy"),
    )
    settings = resolve(flags, {**environ, **_QUIET}, home, command=command, needs_region=False)
    rc = load_rc(flags, environ, home)
    says_to_wait = environ.get("OCIHAUL_SESSION_WAIT") or rc.default(
        settings.profile, command, "session-wait"
    )
    if not says_to_wait:
        settings = replace(
            settings, session_options=replace(settings.session_options, session_wait=0.0)
        )
    return replace(
        settings,
        token_file=_path(client_config.get("security_token_file"), home) or settings.token_file,
        key_file=None
        if settings.key_content
        else _path(client_config.get("key_file"), home) or settings.key_file,
        passphrase=client_config.get("pass_phrase") or settings.passphrase,
    )


def _path(text: str | None, home: Path) -> Path | None:
    return expand_home(text, home) if text else None


def _existing(text: str | None, home: Path) -> str | None:
    return text if text and expand_home(text, home).is_file() else None


#: Redaction is slow beside a print of 16 KiB of object bytes, so only text that has one of these
#: goes through it: every kind of secret does.
_SIGNS = (
    "st$",
    "st%24",
    "eyj",
    "authorization",
    "signature",
    "key",
    "token",
    "secret",
    "pass",
    "/p/",
    "://",
    "access",
)


@contextmanager
def redacted_debug() -> Iterator[None]:
    """While it lasts, HTTP debug lines and log records of this process carry no secret."""
    module: Any = http.client
    factory, traceback = logging.getLogRecordFactory(), logging.Formatter()

    def printing(*values: object, sep: str | None = " ", end: str | None = "\n") -> None:
        # It is what http.client would have done.
        builtins.print(*(clean(str(value)) for value in values), sep=sep, end=end)  # noqa: T201

    def record(*args: object, **settings: object) -> logging.LogRecord:
        made = factory(*args, **settings)
        try:
            text = made.getMessage()
        except (TypeError, ValueError):
            return made  # a wrong format string: logging itself will complain
        cleaned = clean(text)
        if cleaned != text:
            made.msg, made.args = cleaned, ()
        if made.exc_info and not made.exc_text:  # formatters take this text before they make one
            made.exc_text = clean(traceback.formatException(made.exc_info))
        return made

    # http.client calls print as a builtin; a name of its own comes first.
    module.print = printing
    logging.setLogRecordFactory(record)
    try:
        yield
    finally:
        del module.print
        logging.setLogRecordFactory(factory)


def clean(text: str) -> str:
    """`text` without secrets; quick where there is none."""
    lower = text.lower()
    return redact(text) if any(sign in lower for sign in _SIGNS) else mask_held(text)


_SEAM = "get_session_token_signer"
_CALLER = "create_config_and_signer_based_on_click_context"

#: Makes a signer from the configuration that the official CLI has put together.
MakeSigner = Callable[[dict[str, Any]], Any]


@contextmanager
def joined(make_signer: MakeSigner) -> Iterator[None]:
    """Let the official CLI, already imported, take its signers from `make_signer`.

    Raises UsageError that names the versions when the CLI has no such seam.
    """
    from oci_cli import cli_util

    check(cli_util)
    original = getattr(cli_util, _SEAM)
    setattr(cli_util, _SEAM, make_signer)
    try:
        yield
    finally:
        setattr(cli_util, _SEAM, original)


def check(cli_util: Any) -> None:
    """Raise UsageError unless the seam is there, takes one argument, and is looked up late."""
    seam, caller = getattr(cli_util, _SEAM, None), getattr(cli_util, _CALLER, None)
    problem = None
    if not callable(seam):
        problem = f"there is no {_SEAM}"
    elif list(inspect.signature(seam).parameters) != ["client_config"]:
        problem = f"{_SEAM} takes other arguments"
    elif _SEAM not in getattr(getattr(caller, "__code__", None), "co_names", ()):
        problem = f"{_CALLER} does not call {_SEAM}"
    if problem is not None:
        raise UsageError(
            f"this official CLI cannot be run on our session: in {cli_util.__name__} {problem} "
            f"({versions()})",
            hint=f"Install one that was tested, with: {installing(OCI_CLI)}; or keep the "
            "session alive from outside, with: ocihaul session keep",
        )
