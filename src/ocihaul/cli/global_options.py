"""The options that every command has: accepted before and after it, the last one wins.

What belongs here: their names, and what was given. What they mean is settled in `ocihaul.config`.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ocihaul.cli.options import Defaults, Document

if TYPE_CHECKING:
    from ocihaul.config import Flags

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_FLAGS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "config_file": (("--config-file",), {"help": "The configuration file. [~/.oci/config]"}),
    "profile": (("--profile",), {"help": "The profile in the configuration file. [DEFAULT]"}),
    "cli_rc_file": (
        ("--cli-rc-file", "--defaults-file"),
        {"help": "The file of defaults for options. [~/.oci/oci_cli_rc]"},
    ),
    "auth": (
        ("--auth",),
        {"help": "How to authenticate: security_token, api_key, or a principal of the SDK."},
    ),
    "region": (("--region",), {"help": "The region, such as eu-frankfurt-1 or fra."}),
    "endpoint": (("--endpoint",), {"help": "Base URL of Object Storage, instead of a region's."}),
    "auth_endpoint": (
        ("--auth-endpoint",),
        {"help": "Base URL of the service that refreshes sessions. [OCIHAUL_AUTH_ENDPOINT]"},
    ),
    "allow_plain_http": (
        ("--allow-plain-http",),
        {
            "is_flag": True,
            "help": "Send requests and their credential over http:// to other machines, too. "
            "[OCIHAUL_ALLOW_PLAIN_HTTP]",
        },
    ),
    "realm_specific_endpoint": (
        ("--realm-specific-endpoint",),
        {"is_flag": True, "help": "Use the realm's own host names, where it has them."},
    ),
    "enable_dual_stack": (
        ("--enable-dual-stack",),
        {"is_flag": True, "help": "Use host names with IPv4 and IPv6."},
    ),
    "cert_bundle": (
        ("--cert-bundle",),
        {"help": "A PEM file with the certificates to trust. Wins over REQUESTS_CA_BUNDLE."},
    ),
    "connection_timeout": (
        ("--connection-timeout",),
        {"type": float, "help": "Seconds to wait for a connection. [10]"},
    ),
    "read_timeout": (
        ("--read-timeout",),
        {"type": float, "help": "Seconds to wait for an answer. [60]"},
    ),
    "max_retries": (
        ("--max-retries",),
        {
            "type": int,
            "help": "Attempts for each request, the first one included. "
            "[at least 8, for at least 10 minutes]",
        },
    ),
    "no_retry": (("--no-retry",), {"is_flag": True, "help": "One attempt for each request."}),
    "proxy": (("--proxy",), {"help": "The proxy: http://[user:password@]host:port/"}),
    "renew_with": (
        ("--renew-with",),
        {"help": "A profile with an API key that mints new tokens. [OCIHAUL_RENEW_WITH]"},
    ),
    "session_expiration_in_minutes": (
        ("--session-expiration-in-minutes",),
        {"type": int, "help": "The life to ask for when a token is minted. [the service's]"},
    ),
    "session_wait": (
        ("--session-wait",),
        {
            "help": "How long to wait for a new login when the session has expired, such as 30m or "
            "12h; 0 ends at once. [12h; OCIHAUL_SESSION_WAIT]"
        },
    ),
    "on_park": (
        ("--on-park",),
        {
            "help": "A shell command to run when that wait begins, with OCIHAUL_PARK_REASON and "
            "OCIHAUL_PARK_UNTIL in its environment. Its output is not shown."
        },
    ),
    "login": (
        ("--login",),
        {
            "help": "auto: at a terminal, offer the login itself when that wait begins. "
            "[never; OCIHAUL_LOGIN]"
        },
    ),
    "require_session": (
        ("--require-session",),
        {
            "is_flag": True,
            "help": "Do not begin if the session will not last, as far as that is known.",
        },
    ),
    "request_id": (
        ("--opc-request-id", "--opc-client-request-id", "--request-id"),
        {"help": "Your own name for the requests: sent as opc-client-request-id."},
    ),
    "expected_rate": (
        ("--expected-rate",),
        {
            "help": "Bytes per second to reckon with before any was measured, such as 50M "
            "(50 MiB/s)."
        },
    ),
    "congestion_control": (
        ("--congestion-control",),
        {
            "metavar": "NAME",
            "help": "Of connections that send: auto (BBR where packets get lost and the system "
            "offers it), system, or a name such as bbr. [auto]",
        },
    ),
    "bandwidth": (
        ("--bandwidth",),
        {
            "help": "Bytes per second to use at most, such as 200M (200 MiB/s), or by the local "
            "time of day: '08:00,50M 18:00,off'."
        },
    ),
}

_VIEW: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "output": (
        ("--output",),
        {"type": click.Choice(["json", "table"]), "help": "How to print the answer. [json]"},
    ),
    "query": (("--query",), {"help": "A JMESPath expression to apply to the answer."}),
    "raw_output": (
        ("--raw-output",),
        {"is_flag": True, "help": "Print an answer that is one string without its quotes."},
    ),
    "debug": (
        ("-d", "--debug"),
        {"is_flag": True, "help": "Log every request on stderr, without its secrets."},
    ),
}

#: What is said beside the answer, and to whom.
_LOG: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "log_format": (
        ("--log-format",),
        {
            "type": click.Choice(["text", "json"]),
            "help": "Of the log file, or of stderr without one: lines, or one JSON object a line. "
            "[text; OCIHAUL_LOG_FORMAT]",
        },
    ),
    "log_file": (
        ("--log-file",),
        {"help": "Append the log of a transfer to this file, too. [OCIHAUL_LOG_FILE]"},
    ),
    "quiet": (
        ("--quiet",),
        {"is_flag": True, "help": "On stderr, say only what failed or needs a person."},
    ),
    "verbose": (
        ("--verbose",),
        {"is_flag": True, "help": "Say each part, file and retry, however many there are."},
    ),
    "progress_interval": (
        ("--progress-interval",),
        {"help": "How often the log says how far it is, such as 10s or 5m. [30s]"},
    ),
    "on_finish": (
        ("--on-finish",),
        {
            "help": "A shell command to run after a transfer, whatever its result, which is in its "
            "process: OCIHAUL_STATE, _OBJECT, _BYTES, _EXIT, _REASON, _RECEIPT, _LOG."
        },
    ),
    "on_failure": (
        ("--on-failure",),
        {"help": "The same, only where the exit status is not 0."},
    ),
    "notify": (
        ("--notify",),
        {
            "metavar": "URL",
            "help": "Tell of a transfer's end, and that it waits for a login: URLs of apprise "
            "(mailto://…, slack://…) and healthchecks+https://…, separated by blanks. "
            "[OCIHAUL_NOTIFY]",
        },
    ),
    "metrics_file": (
        ("--metrics-file",),
        {"help": "Write a transfer's result there as Prometheus text. [OCIHAUL_METRICS_FILE]"},
    ),
    "report": (
        ("--report",),
        {
            "metavar": "FILE",
            "help": "Write a page (HTML) with the picture of a transfer there, and of those before "
            "it in a JSON log file. [OCIHAUL_REPORT]",
        },
    ),
}

#: Accepted because scripts have them, without effect: (names, takes a value).
_IGNORED: dict[str, tuple[tuple[str, ...], bool]] = {
    "federation_endpoint": (("--federation-endpoint",), True),
    "auth_purpose": (("--auth-purpose",), True),
    "enable_propagation": (("--enable-propagation",), True),
    "cli_auto_prompt": (("-i", "--cli-auto-prompt"), False),
}

#: They print an example instead of doing the work: to ignore them would do the work.
_REFUSED: dict[str, tuple[tuple[str, ...], bool]] = {
    "generate_full_command_json_input": (("--generate-full-command-json-input",), False),
    "generate_param_json_input": (("--generate-param-json-input",), True),
}


@dataclass(slots=True)
class Given:
    """The global options of one command line, by their parameter names."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    ignored: list[str] = field(default_factory=list)
    #: stderr is a JSON log: the error that ends the command is a line of it, too.
    errors_as_json: bool = False

    @property
    def debug(self) -> bool:
        """Whether `--debug` was given."""
        return bool(self.values.get("debug"))

    def flags(self) -> "Flags":
        """What the configuration wants to know."""
        from ocihaul.config import Flags

        return Flags(**{name: self.values[name] for name in _FLAGS if name in self.values})

    def with_document(self, document: Document, options: Iterable[click.Option]) -> None:
        """Take from `--from-json` what the command line does not say; raises click.UsageError."""
        for option in options:
            name, value = option.name or "", document.value(option)
            if value is None or value is False or name in self.values:
                continue
            if name in _FLAGS or name in _VIEW or name in _LOG:
                self.values[name] = value
            elif name in _IGNORED:
                self.ignored.append(option.opts[-1])
            elif name in _REFUSED:
                raise _refusal(option)

    def with_defaults(self, defaults: Defaults) -> None:
        """Take from the rc file what was not given and is not the configuration's business."""
        for name, (options, settings) in [*_VIEW.items(), *_LOG.items()]:
            if name in self.values:
                continue
            names = [option.lstrip("-") for option in options if option.startswith("--")]
            text = defaults.from_rc(*names, *(each.replace("-", "_") for each in names))
            if text is not None:
                kind = click.BOOL if settings.get("is_flag") else settings.get("type", click.STRING)
                self.values[name] = defaults.converted(kind, text, names[0])

    def notices(self) -> list[str]:
        """What has to be said about options without effect."""
        return [f"{name} is accepted and has no effect" for name in dict.fromkeys(self.ignored)]


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep a value that stands on the command line; later ones replace earlier ones."""
    source = context.get_parameter_source(parameter.name or "")
    if source is click.core.ParameterSource.COMMANDLINE:
        context.ensure_object(Given).values[parameter.name or ""] = value


def _ignore(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value not in (None, False):
        context.ensure_object(Given).ignored.append(parameter.opts[-1])


def _refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value not in (None, False):
        raise _refusal(parameter, context)


def _refusal(parameter: click.Parameter, context: click.Context | None = None) -> click.UsageError:
    return click.UsageError(
        f"{parameter.opts[-1]} is not supported; its output for the official CLI works here too, "
        "with --from-json",
        ctx=context,
    )


def global_options(
    *, hidden: bool = False, without: Collection[str] = ()
) -> Callable[[Decorated], Decorated]:
    """A decorator that adds them all to a command, but for those that have another form there."""

    def decorate(command: Decorated) -> Decorated:
        rest = [(_ignore, _IGNORED), (_refuse, _REFUSED)]
        for callback, table in rest:
            for name, (options, takes_value) in table.items():
                command = click.option(
                    *options,
                    name,
                    is_flag=not takes_value,
                    expose_value=False,
                    hidden=True,
                    callback=callback,
                )(command)
        for name, (options, settings) in reversed([*_FLAGS.items(), *_VIEW.items(), *_LOG.items()]):
            if name in without:
                continue
            command = click.option(
                *options,
                name,
                expose_value=False,
                hidden=hidden,
                callback=_remember,
                **settings,
            )(command)
        return command

    return decorate
