"""Numbers, times, rates, URLs that people write: out of range is an error that says the range."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ocihaul.cli.app import app, run
from ocihaul.cli.options import Defaults, Document, OptionOrigin, age, json_object
from ocihaul.cli.output import make_view
from ocihaul.config import Flags, RcFile
from ocihaul.config.profile import attempts, check_endpoint, seconds
from ocihaul.config.resolve import callback_port, find_session_options
from ocihaul.config.settings import Found, duration, parse_bandwidth, size
from ocihaul.config.sources import Places
from ocihaul.directories.request import LONGEST_PATTERN, make_filter
from ocihaul.endpoints import Origin
from ocihaul.errors import ConfigError, UsageError
from ocihaul.transfer.download.request import validate_options
from ocihaul.transfer.plan import ServiceLimits, validate_parallel, validate_part_size
from ocihaul.transport.proxies import Proxy


@pytest.mark.parametrize(
    "text", ["abc9", "v1", "9x9", "²", "1e9", "-1d", "٣d", "", "9" * 400 + "d"]
)
@pytest.mark.parametrize("command", ["receipts", "uploads"])
def test_finding_a21_an_age_that_is_none_is_a_usage_error(
    command: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "clean", "--older-than", text]) == 2
    assert "older-than" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["7", "0.5", "00012"])
def test_an_age_needs_a_unit(text: str) -> None:
    with pytest.raises(UsageError, match="no unit"):
        age(text)


@pytest.mark.parametrize("text", ["9" * 400, "1e5", "36501d", "٣", "1_000", "nan", "inf", "-1"])
def test_finding_a21_a_length_of_time_has_a_range(text: str) -> None:
    with pytest.raises(UsageError, match="--x: "):
        duration(Found(text, "--x"))
    assert duration(Found("36500d", "--x")) == 36500 * 86400


@pytest.mark.parametrize("text", ["9" * 400, "1048577T", "²", "1e5", "nan", "-1", "5XB"])
def test_finding_a21_a_size_has_a_range(text: str) -> None:
    with pytest.raises(UsageError, match="--x: "):
        size(Found(text, "--x"))
    with pytest.raises(UsageError, match="--x"):
        parse_bandwidth(Found(f"08:00,{text} 09:00,off", "--x"))


def wishes(**variables: str) -> Any:
    return find_session_options(Flags(), Places(variables, RcFile(), "DEFAULT", ()))


@pytest.mark.parametrize("text", ["²", "0", "-5", "525601", "9" * 30, "6.0", "٣", "abc"])
def test_finding_a21_minutes_are_a_number_in_a_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"IN_MINUTES: .*(1 to 525600)"):
        wishes(OCIHAUL_SESSION_EXPIRATION_IN_MINUTES=text)
    assert wishes(OCIHAUL_SESSION_EXPIRATION_IN_MINUTES=" 60 ").minutes == 60


@pytest.mark.parametrize("text", ["²", "0", "65536", "-1", "9" * 5000, "80.0"])
def test_a_port_is_a_number_in_a_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"OCIHAUL_CALLBACK_PORT: .*(1 to 65535)"):
        callback_port(None, {"OCIHAUL_CALLBACK_PORT": text})


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        wishes(OCIHAUL_EXPECTED_RATE="0")


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 86400.1, 1e300])
def test_timeouts_have_a_range(value: float) -> None:
    with pytest.raises(UsageError, match=r"`read_timeout`: .*from 0 to 86400"):
        seconds("read_timeout", value, 60.0)


@pytest.mark.parametrize("value", [-1, 10**6 + 1, 10**400])
def test_attempts_have_a_range(value: int) -> None:
    with pytest.raises(UsageError, match=r"`max_retries`: .*from 0 to 1000000"):
        attempts(Flags(max_retries=value), Places({}, RcFile(), "DEFAULT", ()))


@pytest.mark.parametrize(
    "url",
    [
        "http://a\0b",
        "http://a b",
        "http://a\nb",
        "http://\ud800",
        "http://a:0",
        "http://[::1",
        "http://[v1.x]",
        "http://" + "a" * 300,
        "http://a..b",
        "http://:80",
        "http://a\x7f",
        "ftp://a",
    ],
)
def test_finding_a21_a_url_that_no_host_can_have_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_endpoint(Found(url, "--endpoint"), plain_http=True)
    with pytest.raises(ConfigError):
        Origin.parse(url)
    with pytest.raises(ConfigError):
        Proxy.parse(url)


def test_finding_a21_a_proxy_with_a_lone_surrogate_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        Proxy.parse("http://user:secret\ud800@h:1")
    assert "secret" not in str(caught.value)


def test_bytes_of_a_proxys_password_are_sent_as_they_are() -> None:
    """A password in Latin-1: typed in that encoding, or written with %E9."""
    for url in ("http://u:caf\udce9@h:1", "http://u:caf%E9@h:1"):
        assert Proxy.parse(url).authorization == "Basic dTpjYWbp"


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "4", None, 10**20, math.nan])
def test_callers_of_the_library_get_a_usage_error_too(value: Any) -> None:
    checks: list[Callable[[], object]] = [
        lambda: validate_parallel(value),
        lambda: validate_options(part_size=None, parallel=value),
    ]
    if value is not None:
        checks += [
            lambda: validate_part_size(value, ServiceLimits()),
            lambda: validate_options(part_size=value, parallel=1),
        ]
    for check in checks:
        if value is True:
            continue
        with pytest.raises(UsageError):
            check()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["uploads", "--price", "nan"], "nan is not in the range x>=0"),
        (["uploads", "--price", "inf"], "inf is not in the range x>=0"),
        (["uploads", "--price", "-1"], "-1.0 is not in the range x>=0"),
        (["receipts", "show", "0"], "0 is not in the range"),
        (["receipts", "show", str(2**63)], "is not in the range"),
        (["os", "object", "copy", "--max-wait-seconds", "-1"], "-1 is not in the range"),
        (["os", "object", "copy", "--wait-interval-seconds", "9" * 20], "is not in the range"),
        (["os", "object", "get", "--part-size", "99999999999"], "is not in the range"),
        (["os", "object", "get", "--restore", "241"], "241 is not in the range 1<=x<=240"),
        (["os", "object", "resume-put", "--part-size", "0"], "0 is not in the range"),
        (["os", "object", "sync", "--part-size", "51201"], "is not in the range"),
    ],
)
def test_numbers_of_commands_have_a_range(args: list[str], says: str) -> None:
    outcome = CliRunner().invoke(app, args)
    assert outcome.exit_code == 2
    assert says in outcome.output


def test_a_pattern_that_no_name_is_as_long_as_is_refused() -> None:
    """Its time would grow with the square of its length."""
    with pytest.raises(UsageError, match="at most 4096"):
        make_filter(["[" * 100_000], [], root="/r")
    with pytest.raises(UsageError, match="at most 4096"):
        make_filter([], ["x"], root="/r", prefix="[" * LONGEST_PATTERN + "/")


def test_a_document_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="longer than"):
        json_object("file:///dev/zero", what="--from-json", home=tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "NaN", '{"a": 1e999}'])
def test_finding_a21_a_document_of_any_depth_is_a_usage_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--from-json is"):
        json_object(text, what="--from-json", home=tmp_path)


@pytest.mark.parametrize("value", [["a"], {"a": "b"}, "a\0b", "a\ud800"])
def test_values_of_a_document_are_of_the_options_type(value: object) -> None:
    option = click.Option(["--name"])
    with pytest.raises(UsageError, match="--from-json: name: "):
        Defaults(RcFile(), "DEFAULT", (), Document({"name": value})).value(option)
    several = click.Option(["--name"], multiple=True)
    defaults = Defaults(RcFile(), "DEFAULT", (), Document({"name": ["a", 5]}))
    assert defaults.value(several) == (["a", "5"], OptionOrigin.DOCUMENT)


LONG = "/" + "9" * 5000
#: What has to be there for a command to look at its paths.
KEY_PROFILE = """\
[DEFAULT]
user=ocid1.user.oc1..aaa
fingerprint=00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff
tenancy=ocid1.tenancy.oc1..aaa
key_file=/dev/null
region=us-ashburn-1
"""
GET = ["os", "object", "get", "-ns", "n", "-bn", "b", "--name", "o", "--file"]
PUT = ["os", "object", "put", "-ns", "n", "-bn", "b", "--name", "o", "--file"]


@pytest.mark.parametrize(
    "args",
    [
        [*GET, LONG],
        [*GET, "x", "--encryption-key-file", LONG],
        [*GET, "x", "--cert-bundle", LONG],
        [*PUT, LONG],
        [*PUT, "/dev/null", "--receipt", LONG],
        [*PUT, LONG, "--receipt", "receipt"],
        [*PUT, "/dev/null", "--metadata", f"file://{LONG}"],
        ["--config-file", LONG, *PUT, "/dev/null"],
        ["verify", LONG],
        ["os", "object", "sync", "-ns", "n", "-bn", "b", "--src-dir", LONG],
        ["os", "object", "sync", "-ns", "n", "-bn", "b", "--dest-dir", LONG],
        ["session", "login", "--config-location", LONG, "--region", "iad", "--profile-name", "p"],
    ],
    ids=lambda args: " ".join(args).replace(LONG, "LONG"),
)
def test_a_path_that_no_file_system_takes_is_an_error_of_ours(
    args: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / ".oci").mkdir()
    (tmp_path / ".oci" / "config").write_text(KEY_PROFILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(tmp_path / "state"))
    assert run(args) in {1, 2}
    said = capsys.readouterr().err
    assert "should not happen" not in said
    assert "rror: " in said


@pytest.mark.parametrize("query", ["&@", "[&@]", "{a: [&name]}", "length(`1`)", "[" * 2000])
def test_a_query_that_gives_no_document_is_a_usage_error(query: str) -> None:
    with pytest.raises(UsageError, match="--query"):
        make_view(output="json", query=query, raw=False, queries={}).render({"name": "a"})
