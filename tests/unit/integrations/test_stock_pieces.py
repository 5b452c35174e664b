"""What surrounds the official CLI, without it."""

import http.client
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ocihaul.cli.groups import split
from ocihaul.errors import UsageError
from ocihaul.integrations import oci_cli, oci_cli_hooks
from ocihaul.integrations.oci_cli_hooks import (
    clean,
    given,
    is_session_by_default,
    redacted_debug,
    settings_for,
)
from tests.support import make_token, rsa_key
from tests.world import world

TOKEN = make_token(rsa_key())


def test_options_are_read_in_both_forms_and_the_last_wins() -> None:
    argv = ["--profile", "a", "os", "ns", "get", "--profile=b", "--query", "--profile"]
    assert given(argv, "--profile") == "b"
    assert given(argv, "--auth") is None


def test_a_session_profile_is_used_as_one_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.write_api_key_profile(w.config.parent)
        environ = {"OCI_CLI_CONFIG_FILE": str(w.config)}
        command = ["os", "ns", "get"]
        assert is_session_by_default(command, environ, tmp_path)
        assert not is_session_by_default([*command, "--profile", "APIKEY"], environ, tmp_path)
        assert not is_session_by_default(["--auth=api_key", *command], environ, tmp_path)
        assert not is_session_by_default(command, {**environ, "OCI_CLI_AUTH": "x"}, tmp_path)
        assert not is_session_by_default(command, {}, tmp_path / "nowhere")
        rc = tmp_path / "rc"
        rc.write_text("[DEFAULT]\nauth=api_key\n")
        assert not is_session_by_default(command, {**environ, "OCI_CLI_RC_FILE": str(rc)}, tmp_path)


def test_the_settings_are_those_that_the_cli_has_found(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        told = {"config_file": str(w.config), "profile": "DEFAULT", "proxy": "http://proxy:1"}
        config = {"security_token_file": str(w.token_file), "key_file": str(w.key_file)}
        settings = settings_for(config, told, {}, tmp_path)
        assert (settings.token_file, settings.key_file) == (w.token_file, w.key_file)
        assert (settings.auth, settings.proxy) == ("security_token", "http://proxy:1")
        assert settings.auth_endpoint == "https://auth.eu-frankfurt-1.oraclecloud.com"
        assert settings.session_options.session_wait == 0
        waiting = settings_for(config, told, {"OCIHAUL_SESSION_WAIT": "2h"}, tmp_path)
        assert waiting.session_options.session_wait == 7200


def test_our_own_options_become_variables() -> None:
    argv = ["--renew-with", "KEYS", "os", "ns", "get", "--session-wait=1h", "--require-session"]
    assert split([*argv, "--query", "data"]) == (
        ["os", "ns", "get", "--query", "data"],
        {
            "OCIHAUL_RENEW_WITH": "KEYS",
            "OCIHAUL_SESSION_WAIT": "1h",
            "OCIHAUL_REQUIRE_SESSION": "true",
        },
    )


def test_without_the_cli_the_error_says_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert oci_cli.run(["os", "ns", "get"]) == 2
    said = capsys.readouterr()
    assert "pip install 'oci-cli" in said.err
    assert said.out == ""


def calls_it(client_config: Any) -> Any:
    return get_session_token_signer(client_config)  # type: ignore[name-defined]  # noqa: F821  its name is what counts


def calls_another(client_config: Any) -> Any:
    return client_config


def seam(client_config: Any) -> Any:
    return client_config


def seam_of_two(context: Any, client_config: Any) -> Any:
    return client_config


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        ({}, "there is no get_session_token_signer"),
        ({"get_session_token_signer": seam_of_two}, "takes other arguments"),
        ({"get_session_token_signer": seam}, "does not call"),
        (
            {
                "get_session_token_signer": seam,
                "create_config_and_signer_based_on_click_context": calls_another,
            },
            "does not call",
        ),
    ],
)
def test_a_cli_that_has_moved_on_is_refused(module: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        oci_cli_hooks.check(SimpleNamespace(__name__="oci_cli.cli_util", **module))
    assert "oci-cli not installed" in str(raised.value)


def test_a_cli_with_the_seam_is_taken() -> None:
    module = {
        "get_session_token_signer": seam,
        "create_config_and_signer_based_on_click_context": calls_it,
    }
    oci_cli_hooks.check(SimpleNamespace(__name__="oci_cli.cli_util", **module))


def test_debug_lines_and_logs_carry_no_token(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    request = f"b'GET /n HTTP/1.1\\r\\nauthorization: Signature keyId=\"ST${TOKEN}\"\\r\\n'"
    with redacted_debug():
        module: Any = http.client
        module.print("send:", request)
        logging.getLogger("oci").warning("signing with %s", f"ST${TOKEN}")
    out = capsys.readouterr().out
    assert out.startswith("send: b'GET /n")
    assert TOKEN not in out
    assert TOKEN not in caplog.text
    assert "signing with" in caplog.text
    assert not hasattr(http.client, "print")


def test_a_logged_exception_has_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    with redacted_debug():
        try:
            raise ValueError(f"refused: keyId=ST${TOKEN}")
        except ValueError:
            logging.getLogger("oci").exception("it could not be sent")
    assert TOKEN not in caplog.text
    assert "Traceback (most recent call last):\n" in caplog.text
    assert "ValueError: refused: keyId=" in caplog.text


def test_text_without_a_secret_is_left_as_it_is() -> None:
    text = "reply: 'HTTP/1.1 200 OK\\r\\n'"
    assert clean(text) is text
