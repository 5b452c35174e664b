"""From facts to findings: each trouble is named, with a cure, and only the trouble."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ocihaul.endpoints import Region
from ocihaul.errors import ConfigError
from ocihaul.session.credential import SessionToken
from ocihaul.session.diagnostics.checks import CheckStatus, Facts, findings, is_well
from ocihaul.session.diagnostics.probe import ProbeResult
from ocihaul.session.diagnostics.snapshot import FileFact, Snapshot
from ocihaul.session.lockfile import Holder, Lock
from tests.support import NOW, make_token, rsa_key

HOME = Path("/home/night/.oci")


def token(**claims: float) -> SessionToken:
    given = {"sess_exp": NOW + 86400} | claims
    return SessionToken.parse(make_token(rsa_key(), **given))


SOUND = Snapshot(
    profile="NIGHT",
    config_file=HOME / "config",
    auth_endpoint="https://auth.example",
    token=token(),
    key_matches=True,
    problems=(),
    files=(FileFact("token", HOME / "token", 0o600, NOW),),
    replaceable="rename",
    lock=Lock(HOME / "token.lock", held=False),
    leftovers=(),
)
WELL = Facts(
    now=NOW,
    profile="NIGHT",
    seen=SOUND,
    region=Region("eu-frankfurt-1", "oc1", "oraclecloud.com"),
    replies={
        "Object Storage": ProbeResult("https://os.example", status=404, clock_offset=0.3),
        "auth": ProbeResult("https://auth.example", status=404, clock_offset=0.3),
    },
    signed=ProbeResult("https://os.example", status=200, clock_offset=0.3),
)


def seen(**changes: object) -> Facts:
    return replace(WELL, seen=replace(SOUND, **changes))  # type: ignore[arg-type]  # by name


def clock(offset: float) -> Facts:
    replies = {
        name: replace(each, clock_offset=offset) for name, each in (WELL.replies or {}).items()
    }
    return replace(WELL, replies=replies)


def test_a_sound_session_has_only_good_findings() -> None:
    found = findings(WELL)
    assert is_well(found)
    assert {each.status for each in found} == {CheckStatus.OK}


@pytest.mark.parametrize(
    ("facts", "topic", "words", "cure"),
    [
        (
            Facts(NOW, "NIGHT", config_error=ConfigError("no config", hint="make one")),
            "configuration",
            "no config",
            "make one",
        ),
        (
            seen(files=(FileFact("key", HOME / "key.pem", 0o644, NOW),)),
            "permissions",
            "open to others (mode 644)",
            f"chmod 600 {HOME}/key.pem",
        ),
        (
            seen(files=(FileFact("directory", HOME, 0o755, NOW),)),
            "permissions",
            "open to others",
            f"chmod 700 {HOME}",
        ),
        (seen(replaceable=None), "permissions", "cannot be written", "chown"),
        (
            seen(key_matches=False, problems=("the key does not belong",)),
            "key and token",
            "does not belong",
            "ocihaul session login",
        ),
        (replace(WELL, now=NOW + 7200), "token", "expired", "ocihaul session login"),
        (seen(token=token(sess_exp=NOW + 3600)), "session", "cannot be renewed", "`renew_with`"),
        (seen(auth_endpoint=None), "session", "no region", "`region`"),
        (
            replace(WELL, now=NOW - 600, replies=None, signed=None),
            "token",
            "600 s in the future",
            "set-ntp",
        ),
        (clock(600.0), "clock", "600 s behind", "set-ntp"),
        (clock(-600.0), "clock", "600 s ahead of", "set-ntp"),
        (
            replace(
                WELL,
                replies={"auth": ProbeResult("https://auth.example", error="refused", cure="")},
            ),
            "network",
            "cannot be reached",
            "proxy",
        ),
        (
            replace(
                WELL,
                replies={
                    "auth": ProbeResult(
                        "https://auth.example",
                        error="the certificate of https://auth.example is not trusted: self-signed",
                        cure="Name the CA with --cert-bundle FILE",
                        untrusted=True,
                    )
                },
            ),
            "tls",
            "auth: the certificate of https://auth.example is not trusted",
            "--cert-bundle",
        ),
        (
            replace(WELL, rc_notice="the rc file /x does not exist; using none"),
            "configuration",
            "the rc file /x does not exist",
            "`cli_rc_file`",
        ),
        (
            replace(WELL, signed=ProbeResult("https://os.example", status=401)),
            "request",
            "does not accept",
            "session refresh `profile='NIGHT'`",
        ),
        (seen(leftovers=(HOME / ".token.x",)), "neighbours", "killed", f"rm {HOME}/.token.x"),
        # A cure is copied into a shell.
        (seen(leftovers=(HOME / "my oci; ls",)), "neighbours", "killed", f"rm '{HOME}/my oci; ls'"),
        (
            seen(files=(FileFact("key", HOME / "a b.pem", 0o644, NOW),)),
            "permissions",
            "open to others",
            f"chmod 600 '{HOME}/a b.pem'",
        ),
        (
            replace(WELL, region=Region("xx-new-1", "oc1", "x.example", notice="assumed")),
            "region",
            "assumed",
            "`region`",
        ),
    ],
)
def test_each_trouble_is_found_and_nothing_else(
    facts: Facts, topic: str, words: str, cure: str
) -> None:
    found = findings(facts)
    problems = [each for each in found if each.status is CheckStatus.PROBLEM]
    assert {each.topic for each in problems} == {topic}
    assert words in problems[0].what
    assert cure in problems[0].cure
    assert all(each.why for each in problems)
    assert not is_well(found)


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: replace(facts, replies=None, signed=None),
        lambda facts: replace(facts, region=None),
        lambda _: seen(lock=Lock(HOME / "token.lock", held=True, pid=7, program="oci")),
        lambda facts: replace(facts, signed=ProbeResult("https://os.example", status=503)),
    ],
)
def test_what_is_not_known_is_no_trouble(change: Callable[[Facts], Facts]) -> None:
    found = findings(change(WELL))
    assert is_well(found)
    assert any(each.status is CheckStatus.UNKNOWN for each in found)


@pytest.mark.parametrize(
    ("keepers", "words"),
    [
        ((Holder(7, "ocihaul"),), "process 7 (ocihaul) keeps this session alive"),
        ((Holder(),), "a process keeps this session alive"),
        (
            (Holder(7, "ocihaul"), Holder(8, "ocihaul")),
            (
                "process 7 (ocihaul) and process 8 (ocihaul) keep this session alive: one would "
                "do, and the others wait for it"
            ),
        ),
    ],
)
def test_who_keeps_the_session_is_named(keepers: tuple[Holder, ...], words: str) -> None:
    found = findings(seen(keepers=keepers))
    assert [each.what for each in found if each.topic == "keeper"] == [words]
    assert is_well(found)


def test_a_clock_that_is_behind_does_not_make_a_good_token_one_from_the_future() -> None:
    found = findings(replace(clock(600.0), now=NOW - 600))
    assert not [
        each for each in found if each.topic == "token" and each.status is not CheckStatus.OK
    ]
