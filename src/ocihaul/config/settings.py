"""What goes into and comes out of the configuration, as values."""

from dataclasses import dataclass, field
from pathlib import Path

from ocihaul import regions
from ocihaul.config.units import Bandwidth
from ocihaul.errors import ConfigError
from ocihaul.regions import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """The global options as they were given; None (or False) where they were not.

    Timeouts are seconds; `max_retries` counts attempts, as in the official CLI.
    """

    config_file: str | None = None
    profile: str | None = None
    cli_rc_file: str | None = None
    auth: str | None = None
    region: str | None = None
    endpoint: str | None = None
    auth_endpoint: str | None = None
    allow_plain_http: bool = False
    realm_specific_endpoint: bool = False
    enable_dual_stack: bool = False
    cert_bundle: str | None = None
    connection_timeout: float | None = None
    read_timeout: float | None = None
    max_retries: int | None = None
    no_retry: bool = False
    proxy: str | None = field(default=None, repr=False)
    renew_with: str | None = None
    session_expiration_in_minutes: int | None = None
    session_wait: str | None = None
    on_park: str | None = None
    login: str | None = None
    require_session: bool = False
    expected_rate: str | None = None
    bandwidth: str | None = None
    request_id: str | None = None
    congestion_control: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What a person session_options of the session.

    `renew_with` is the profile whose API key mints; `minutes` the life to ask for then.
    `session_wait` is how long, in seconds, an expired session waits for a new login, and
    `on_park` a command to run when it begins to; `login` offers the login itself then, to a person
    at a terminal. `require_session` makes a forecast that does not
    fit an error; `expected_rate` (bytes per second) is what it reckons with before anything was
    measured.
    """

    renew_with: str | None = None
    minutes: int | None = None
    session_wait: float = 0.0
    on_park: str | None = None
    login: bool = False
    require_session: bool = False
    expected_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the core needs to know about whom it speaks for, and to whom.

    Exactly one of `key_file` and `key_content` is set, none where a signer of the SDK signs.
    `auth_endpoint` is None where neither a region nor an address is known: then a session cannot
    be refreshed. `max_attempts` is None where nobody asked for a number; `unreachable` is how many
    seconds a request is tried while no connection can be made. `bandwidth` is None where nothing is
    limited. `minting` are the settings of the profile that `session_options.renew_with` names.
    `cert_bundle` is a file, or a directory of certificates. `plain_http`: credentials may go to
    another machine over plain HTTP. `request_id` goes with every request: the caller's name of it.
    """

    profile: str
    config_file: Path | None
    auth: str
    region: str | None
    tenancy: str | None
    user: str | None
    fingerprint: str | None
    key_file: Path | None
    key_content: str | None = field(repr=False)
    passphrase: str | None = field(repr=False)
    token_file: Path | None
    endpoint: str | None
    auth_endpoint: str | None
    cert_bundle: Path | None
    connection_timeout: float
    read_timeout: float
    max_attempts: int | None
    proxy: str | None = field(repr=False)
    notices: tuple[str, ...] = ()
    resolved_region: Region | None = None
    realm_specific: bool = False
    dual_stack: bool = False
    plain_http: bool = False
    session_options: SessionOptions = SessionOptions()
    bandwidth: Bandwidth | None = None
    congestion_control: str = "auto"
    minting: "Settings | None" = None
    delegation_token_file: Path | None = None
    request_id: str | None = None
    unreachable: float = 600.0

    def identity_endpoint(self) -> str | None:
        """Base URL of the Identity service; `endpoint` stands for it, as in the official CLI."""
        if self.endpoint or self.resolved_region is None:
            return self.endpoint
        return regions.identity_endpoint(self.resolved_region)

    def object_storage_endpoint(self, namespace: str | None) -> str:
        """Base URL of Object Storage, without a trailing slash."""
        if self.endpoint:
            return self.endpoint
        if self.resolved_region is None:
            raise ConfigError("neither a region nor an endpoint is known")
        return regions.object_storage_endpoint(
            self.resolved_region,
            namespace=namespace,
            realm_specific=self.realm_specific,
            dual_stack=self.dual_stack,
        )
