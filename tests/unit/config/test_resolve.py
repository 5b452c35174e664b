"""Settings: the order of the places, and what is said when one of them is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import ConfigError, UsageError

FINGERPRINT = ":".join(["ab"] * 16)
TENANCY = "ocid1.tenancy.oc1..aaaa"
USER = "ocid1.user.oc1..aaaa"
SECRET = "hunter2-very-secret"

Write = Callable[..., Path]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose DEFAULT profile has an API key and whose profile `s` has a session."""
    oci = tmp_path / ".oci"
    (oci / "sessions" / "s").mkdir(parents=True)
    for name in ("key.pem", "sessions/s/key.pem", "sessions/s/token"):
        (oci / name).write_text("never read here")
        (oci / name).chmod(0o600)
    write_config(
        tmp_path,
        f"""
        [DEFAULT]
        user={USER}
        tenancy={TENANCY}
        fingerprint={FINGERPRINT}
        key_file=~/.oci/key.pem
        region=eu-frankfurt-1

        [s]
        fingerprint={FINGERPRINT}
        tenancy={TENANCY}
        region=us-ashburn-1
        key_file=~/.oci/sessions/s/key.pem
        security_token_file=~/.oci/sessions/s/token
        pass_phrase={SECRET}%20
        """,
    )
    return tmp_path


def write_config(home: Path, text: str, name: str = "config") -> Path:
    path = home / ".oci" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
    path.chmod(0o600)
    return path


def settle(home: Path, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    command = ("os", "object", "put")
    return resolve(Flags(**flags), environ or {}, home, command=command)


# --- what is found ----------------------------------------------------------------------------


def test_an_api_key_profile_needs_no_flags(home: Path) -> None:
    settings = settle(home)
    assert settings.auth == "api_key"
    assert settings.profile == "DEFAULT"
    assert settings.config_file == home / ".oci" / "config"
    assert settings.key_file == home / ".oci" / "key.pem"
    assert (settings.tenancy, settings.user) == (TENANCY, USER)
    assert settings.fingerprint == FINGERPRINT
    assert settings.region == "eu-frankfurt-1"
    assert settings.auth_endpoint == "https://auth.eu-frankfurt-1.oraclecloud.com"
    assert (
        settings.object_storage_endpoint("ns")
        == "https://objectstorage.eu-frankfurt-1.oraclecloud.com"
    )
    assert (settings.connection_timeout, settings.read_timeout) == (10.0, 60.0)
    assert settings.max_attempts is None
    assert settings.notices == ()


def test_a_session_profile_gives_token_key_and_passphrase(home: Path) -> None:
    settings = settle(home, auth="security_token", profile="s")
    assert settings.token_file == home / ".oci/sessions/s/token"
    assert settings.key_file == home / ".oci/sessions/s/key.pem"
    assert settings.passphrase == f"{SECRET}%20"
    assert settings.notices == ()


def test_a_session_profile_without_auth_is_recognised_and_said(home: Path) -> None:
    settings = settle(home, profile="s")  # although it inherits `user` from DEFAULT
    assert settings.auth == "security_token"
    assert any("using security_token" in notice for notice in settings.notices)


@pytest.mark.parametrize(
    ("flags", "environ", "rc", "region"),
    [
        ({}, {}, "", "eu-frankfurt-1"),
        ({}, {}, "region=eu-paris-1", "eu-paris-1"),
        ({}, {}, "region=eu-paris-1\nos.region=eu-milan-1", "eu-milan-1"),
        ({}, {}, "os.object.region=eu-paris-1\nos.object.put.region=eu-milan-1", "eu-milan-1"),
        ({}, {}, "os.bucket.region=eu-milan-1", "eu-frankfurt-1"),
        ({}, {"OCI_CLI_REGION": "ap-tokyo-1"}, "region=eu-paris-1", "ap-tokyo-1"),
        ({}, {"OCI_REGION": "ap-tokyo-1"}, "", "eu-frankfurt-1"),
        ({"region": "iad"}, {"OCI_CLI_REGION": "ap-tokyo-1"}, "region=fra", "us-ashburn-1"),
        ({}, {"R": "ap-osaka-1"}, "region=$R", "ap-osaka-1"),
    ],
)
def test_the_region_comes_from_the_first_place_that_has_it(
    home: Path, flags: dict[str, Any], environ: dict[str, str], rc: str, region: str
) -> None:
    write_config(home, f"[DEFAULT]\n{rc}", "oci_cli_rc")
    assert settle(home, environ, **flags).region == region


@pytest.mark.parametrize(
    ("flags", "environ", "rc", "profile"),
    [
        ({}, {}, "", "DEFAULT"),
        ({}, {}, "[OCI_CLI_SETTINGS]\ndefault_profile=s", "s"),
        ({}, {"OCI_CLI_PROFILE": "s"}, "[OCI_CLI_SETTINGS]\ndefault_profile=x", "s"),
        ({"profile": "s"}, {"OCI_CLI_PROFILE": "x"}, "", "s"),
    ],
)
def test_the_profile_comes_from_the_first_place_that_has_it(
    home: Path, flags: dict[str, Any], environ: dict[str, str], rc: str, profile: str
) -> None:
    write_config(home, rc or "[DEFAULT]", "oci_cli_rc")
    assert settle(home, environ, **flags).profile == profile


@pytest.mark.parametrize(
    ("flags", "environ", "rc", "auth"),
    [
        ({}, {"OCI_CLI_AUTH": "security_token"}, "auth=api_key", "security_token"),
        ({}, {}, "auth=api_key", "api_key"),
        ({"auth": "security_token"}, {"OCI_CLI_AUTH": "api_key"}, "", "security_token"),
    ],
)
def test_the_way_to_authenticate_comes_from_the_first_place_that_has_it(
    home: Path, flags: dict[str, Any], environ: dict[str, str], rc: str, auth: str
) -> None:
    write_config(home, f"[s]\n{rc}", "oci_cli_rc")
    environ = environ | {"OCI_CLI_PROFILE": "s"}
    assert settle(home, environ, **flags).auth == auth


def test_rc_defaults_belong_to_their_profile(home: Path) -> None:
    write_config(home, "[s]\nregion=eu-paris-1", "oci_cli_rc")
    assert settle(home).region == "eu-frankfurt-1"
    assert settle(home, profile="s").region == "eu-paris-1"


@pytest.mark.parametrize(
    ("given", "environ", "present", "used"),
    [
        (None, {}, ["oci_cli_rc", "cli-defaults"], "oci_cli_rc"),
        (None, {}, ["cli-defaults"], "cli-defaults"),
        (None, {"OCI_CLI_RC_FILE": "~/.oci/env"}, ["oci_cli_rc", "env"], "env"),
        ("~/.oci/flag", {"OCI_CLI_RC_FILE": "~/.oci/env"}, ["flag", "env"], "flag"),
        ("~/.oci/flag", {"OCI_CLI_RC_FILE": "$D/env"}, ["env"], "env"),
    ],
)
def test_the_rc_file_is_the_first_that_exists(
    home: Path, given: str | None, environ: dict[str, str], present: list[str], used: str
) -> None:
    for name in present:
        write_config(home, f"[DEFAULT]\nendpoint=https://{name.replace('_', '-')}.example", name)
    settings = settle(home, environ | {"D": str(home / ".oci")}, cli_rc_file=given)
    assert settings.endpoint == f"https://{used.replace('_', '-')}.example"
    assert bool(settings.notices) == (given is not None and given[7:] not in present)


@pytest.mark.parametrize(
    ("given", "environ", "present", "used"),
    [
        ("~/a", {"OCI_CLI_CONFIG_FILE": "~/b"}, [], "a"),
        ("~/.oci/config", {"OCI_CLI_CONFIG_FILE": "~/b"}, [".oci/config"], "b"),
        (None, {"OCI_CLI_CONFIG_FILE": "~/b", "OCI_CONFIG_FILE": "~/c"}, [], "b"),
        (None, {"OCI_CONFIG_FILE": "~/c"}, [".oci/config"], ".oci/config"),
        (None, {"OCI_CONFIG_FILE": "~/c"}, [".oraclebmc/config"], "c"),
        (None, {}, [".oraclebmc/config"], ".oraclebmc/config"),
    ],
)
def test_the_config_file_is_searched_as_the_stock_tools_do(
    tmp_path: Path, given: str | None, environ: dict[str, str], present: list[str], used: str
) -> None:
    for name in present:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[OTHER]\n")
    with pytest.raises(ConfigError) as caught:
        settle(tmp_path, environ, config_file=given, profile="nobody")
    assert str(tmp_path / used) in caught.value.message


def test_environment_variables_go_before_the_config_file(home: Path) -> None:
    token, key = home / "t", home / "k"
    for path in (token, key):
        path.touch(mode=0o600)
    environ = {
        "OCI_CLI_SECURITY_TOKEN_FILE": "~/t",
        "OCI_CLI_KEY_FILE": "~/k",
        "OCI_CLI_PASSPHRASE": "other",
        "OCI_CLI_TENANCY": "ocid1.tenancy.oc1..bbbb",
    }
    settings = settle(home, environ, profile="s", auth="security_token")
    assert (settings.token_file, settings.key_file) == (token, key)
    assert (settings.passphrase, settings.tenancy) == ("other", "ocid1.tenancy.oc1..bbbb")


def test_key_content_from_the_environment_serves_both_ways_to_authenticate(home: Path) -> None:
    environ = {"OCI_CLI_KEY_CONTENT": SECRET}
    for auth, profile in (("api_key", "DEFAULT"), ("security_token", "s")):
        settings = settle(home, environ, auth=auth, profile=profile)
        assert (settings.key_file, settings.key_content) == (None, SECRET)


ENV_ONLY = {
    "OCI_CLI_USER": USER,
    "OCI_CLI_TENANCY": TENANCY,
    "OCI_CLI_FINGERPRINT": FINGERPRINT,
    "OCI_CLI_KEY_CONTENT": SECRET,
}


def test_the_environment_alone_is_enough(tmp_path: Path) -> None:
    settings = settle(tmp_path, ENV_ONLY | {"OCI_CLI_REGION": "iad"})
    assert settings.config_file is None
    assert settings.auth == "api_key"
    assert settings.region == "us-ashburn-1"


def test_the_region_flag_completes_the_environment(tmp_path: Path) -> None:
    assert settle(tmp_path, ENV_ONLY, region="fra").region == "eu-frankfurt-1"


def test_token_and_key_in_the_environment_need_no_config_file(tmp_path: Path) -> None:
    (tmp_path / "token").touch(mode=0o600)
    environ = {"OCI_CLI_SECURITY_TOKEN_FILE": "~/token", "OCI_CLI_KEY_CONTENT": SECRET}
    settings = settle(tmp_path, environ, region="fra")
    assert settings.config_file is None
    assert settings.auth == "security_token"
    assert settings.token_file == tmp_path / "token"


def test_an_endpoint_needs_no_region_and_is_used_for_every_namespace(home: Path) -> None:
    write_config(home, "[p]\nsecurity_token_file=~/.oci/sessions/s/token\nkey_file=~/.oci/key.pem")
    settings = settle(home, profile="p", endpoint="http://127.0.0.1:8080/")
    assert settings.object_storage_endpoint("ns") == "http://127.0.0.1:8080"
    assert settings.auth_endpoint is None
    assert any("`auth_endpoint`" in notice for notice in settings.notices)


def test_with_both_endpoints_given_an_odd_region_does_no_harm(home: Path) -> None:
    settings = settle(
        home,
        {"OCIHAUL_AUTH_ENDPOINT": "https://127.0.0.1:2"},
        profile="s",
        auth="security_token",
        region="x.y@127.0.0.1:1",
        endpoint="http://127.0.0.1:1",
    )
    assert settings.auth_endpoint == "https://127.0.0.1:2"
    assert settings.notices == ()


def test_the_auth_endpoint_flag_goes_before_the_variable(home: Path) -> None:
    environ = {"OCIHAUL_AUTH_ENDPOINT": "https://env.example"}
    assert settle(home, environ).auth_endpoint == "https://env.example"
    settings = settle(home, environ, auth_endpoint="https://flag.example")
    assert settings.auth_endpoint == "https://flag.example"


@pytest.mark.parametrize(
    ("flags", "environ", "rc"),
    [
        ({"realm_specific_endpoint": True}, {}, ""),
        ({}, {"OCI_REALM_SPECIFIC_SERVICE_ENDPOINT_TEMPLATE_ENABLED": "true"}, ""),
        ({}, {}, "realm-specific-endpoint=True"),
    ],
)
def test_realm_specific_endpoints_can_be_asked_for_in_three_ways(
    home: Path, flags: dict[str, Any], environ: dict[str, str], rc: str
) -> None:
    write_config(home, f"[DEFAULT]\n{rc}", "oci_cli_rc")
    assert (
        settle(home, environ, enable_dual_stack=True, **flags).object_storage_endpoint("ns")
        == "https://ns.objectstorage.eu-frankfurt-1.ds.oci.customer-oci.com"
    )


def test_weakness_25_the_cert_bundle_flag_goes_before_the_environment_of_requests(
    home: Path,
) -> None:
    for name in ("flag.pem", "env.pem"):
        (home / name).touch()
    environ = {"REQUESTS_CA_BUNDLE": str(home / "env.pem")}
    assert settle(home, environ).cert_bundle == home / "env.pem"
    assert settle(home, environ, cert_bundle="~/flag.pem").cert_bundle == home / "flag.pem"


def test_the_proxy_comes_from_flag_or_rc_settings_and_gets_a_scheme(home: Path) -> None:
    write_config(home, "[OCI_CLI_SETTINGS]\nproxy=http://rc:1", "oci_cli_rc")
    assert settle(home).proxy == "http://rc:1"
    assert settle(home, proxy="flag:2").proxy == "http://flag:2"


@pytest.mark.parametrize(
    ("flags", "attempts"),
    [({}, None), ({"max_retries": 3}, 3), ({"max_retries": 0}, 1), ({"no_retry": True}, 1)],
)
def test_max_retries_counts_attempts(
    home: Path, flags: dict[str, Any], attempts: int | None
) -> None:
    assert settle(home, **flags).max_attempts == attempts


def test_timeouts_are_taken_as_given(home: Path) -> None:
    settings = settle(home, connection_timeout=2.5, read_timeout=7.0)
    assert (settings.connection_timeout, settings.read_timeout) == (2.5, 7.0)


def test_a_session_that_is_over_waits_twelve_hours_unless_told_otherwise(home: Path) -> None:
    assert settle(home, profile="s").session_options.session_wait == 43200.0
    environ = {"OCIHAUL_SESSION_WAIT": "15m"}
    assert settle(home, environ, profile="s").session_options.session_wait == 900.0
    assert settle(home, environ, profile="s", session_wait="0").session_options.session_wait == 0.0


def test_files_open_to_others_are_noticed_unless_suppressed(home: Path) -> None:
    token = home / ".oci/sessions/s/token"
    token.chmod(0o644)
    settings = settle(home, profile="s", auth="security_token")
    assert settings.notices == (f"{token} is open to others (mode 644); run: chmod 600 {token}",)
    quiet = {"OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True"}
    assert settle(home, quiet, profile="s", auth="security_token").notices == ()


def test_no_secret_is_in_the_repr(home: Path) -> None:
    environ = {"OCI_CLI_KEY_CONTENT": SECRET}
    flags = Flags(profile="s", proxy=f"http://me:{SECRET}@proxy:1")
    settings = resolve(flags, environ, home)
    assert SECRET in (settings.passphrase or "")
    assert SECRET not in repr(settings) + repr(flags)


def test_a_byte_order_mark_does_no_harm(home: Path) -> None:
    path = home / ".oci" / "config"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert settle(home).user == USER


# --- what is refused --------------------------------------------------------------------------


def refusal(home: Path, environ: dict[str, str] | None = None, **flags: Any) -> str:
    with pytest.raises((ConfigError, UsageError)) as caught:
        settle(home, environ, **flags)
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_missing_config_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    text = refusal(tmp_path, profile="night")
    assert str(tmp_path / ".oci" / "config") in text
    assert "`ocihaul session login` (profile 'night')" in text


def test_a_missing_profile_names_the_file_and_the_profiles_that_exist(home: Path) -> None:
    text = refusal(home, profile="nobody")
    assert f"{home}/.oci/config has no profile 'nobody'; the profiles in it are: DEFAULT, s" in text
    assert "`profile`" in text


def test_a_missing_token_key_names_file_section_and_key(home: Path) -> None:
    text = refusal(home, auth="security_token")
    assert f"{home}/.oci/config, section [DEFAULT]: there is no security_token_file" in text
    assert "ocihaul session login" in text


def test_a_missing_token_file_is_named(home: Path) -> None:
    token = home / ".oci/sessions/s/token"
    token.unlink()
    text = refusal(home, auth="security_token", profile="s")
    assert f"section [s]: security_token_file names {token}" in text
    assert "No such file" in text


def test_a_missing_private_key_is_named(home: Path) -> None:
    text = refusal(home, {"OCI_CLI_KEY_FILE": "~/nowhere.pem"})
    assert f"OCI_CLI_KEY_FILE names {home}/nowhere.pem, where the private key should be" in text


def test_a_directory_is_no_key(home: Path) -> None:
    assert "it is a directory" in refusal(home, {"OCI_CLI_KEY_FILE": "~"})


def test_a_profile_without_a_key_says_so(home: Path) -> None:
    write_config(home, "[DEFAULT]\nregion=iad")
    assert "section [DEFAULT]: there is no key_file" in refusal(home)


def test_all_missing_parts_of_an_api_key_are_named_at_once(home: Path) -> None:
    write_config(home, "[DEFAULT]\nregion=iad\nkey_file=~/.oci/key.pem\nuser=")
    assert "section [DEFAULT]: tenancy, user, fingerprint missing" in refusal(home)


def test_api_key_on_a_session_profile_points_to_security_token(home: Path) -> None:
    write_config(
        home, "[s]\nkey_file=~/.oci/key.pem\nsecurity_token_file=~/.oci/sessions/s/token\n"
    )
    assert "`auth='security_token'`" in refusal(home, auth="api_key", profile="s", region="iad")


@pytest.mark.parametrize(
    ("key", "value"), [("fingerprint", "ab:cd"), ("user", "me"), ("tenancy", "mine")]
)
def test_a_malformed_identity_is_named(home: Path, key: str, value: str) -> None:
    text = refusal(home, {f"OCI_CLI_{key.upper()}": value})
    assert f"OCI_CLI_{key.upper()}: {value!r} is not" in text


@pytest.mark.parametrize("auth", ["pkcs11", "typo"])
def test_another_way_to_authenticate_names_the_supported_ones(home: Path, auth: str) -> None:
    with pytest.raises(UsageError, match="Supported are: security_token, api_key"):
        settle(home, auth=auth)
    with pytest.raises(UsageError, match=f"OCI_CLI_AUTH: authentication by '{auth}'"):
        settle(home, {"OCI_CLI_AUTH": auth})


@pytest.mark.parametrize("auth", ["instance_principal", "resource_principal"])
def test_a_principal_needs_no_config_file_and_no_region(home: Path, auth: str) -> None:
    settings = settle(home, auth=auth)
    assert (settings.auth, settings.key_file, settings.token_file) == (auth, None, None)
    assert settings.notices == ()
    assert settle(home, {"OCI_CLI_AUTH": auth, "OCI_CLI_REGION": "fra"}).region == "eu-frankfurt-1"


def test_a_key_inside_the_config_file_is_refused_without_showing_it(home: Path) -> None:
    write_config(home, f"[DEFAULT]\nkey_content={SECRET}")
    assert "section [DEFAULT]: key_content must not stand in a file" in refusal(home)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"pass_phrase={SECRET}", "line 1: there is a setting before the first section"),
        (f"[DEFAULT]\n{SECRET}", "no setting in line 2"),
        (f"[a]\nkey_file=x\nkey_file={SECRET}", "line 3, section [a]: key_file is there twice"),
        ("[a]\n[a]", "line 2, section [a]: [a] is there twice"),
    ],
)
def test_a_broken_config_file_gives_the_line_but_not_its_content(
    home: Path, text: str, said: str
) -> None:
    path = write_config(home, text)
    message = refusal(home)
    assert str(path) in message
    assert said in message


def test_a_directory_as_config_file_is_refused(home: Path) -> None:
    assert "cannot be read: Is a directory" in refusal(home, config_file=str(home))


def test_a_binary_config_file_is_refused(home: Path) -> None:
    (home / ".oci" / "config").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        settle(home)


def test_no_region_at_all_says_where_it_can_stand(home: Path) -> None:
    write_config(
        home,
        f"[DEFAULT]\nuser={USER}\ntenancy={TENANCY}\nfingerprint={FINGERPRINT}\n"
        "key_file=~/.oci/key.pem",
    )
    text = refusal(home)
    assert "`region`" in text
    assert "OCI_CLI_REGION" in text
    assert settle(home, {"OCI_REGION": "iad"}).region == "us-ashburn-1"


def test_an_unknown_region_says_where_it_came_from_and_what_it_may_mean(home: Path) -> None:
    text = refusal(home, {"OCI_CLI_REGION": "us-ashbrun-1"})
    assert "OCI_CLI_REGION is 'us-ashbrun-1', an unknown region" in text
    assert "Did you mean us-ashburn-1?" in text


def test_a_new_region_is_used_with_a_notice(home: Path) -> None:
    settings = settle(home, region="eu-madrid-9")
    assert settings.auth_endpoint == "https://auth.eu-madrid-9.oraclecloud.com"
    assert any("assuming realm oc1" in notice for notice in settings.notices)


@pytest.mark.parametrize(
    "url",
    ["example.com", "ftp://x", "https://me:pw@x", "https://x/n/b", "https://x:y", "https://x?a=b"],
)
def test_an_endpoint_that_is_no_base_url_is_refused_without_repeating_it(
    home: Path, url: str
) -> None:
    text = refusal(home, endpoint=url)
    assert "`endpoint` is not the base URL of a service" in text
    assert "me:pw" not in text


def test_a_missing_cert_bundle_is_named(home: Path) -> None:
    assert f"`cert_bundle` names {home}/no.pem" in refusal(home, cert_bundle="~/no.pem")


@pytest.mark.parametrize(
    "flags",
    [{"max_retries": 2, "no_retry": True}, {"max_retries": -1}, {"read_timeout": -1.0}],
)
def test_impossible_numbers_are_refused(home: Path, flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        settle(home, **flags)
