"""Bad input by the real command: what was wrong, where, what to do; nothing is sent.

One line of the table for each kind; the words are what a person needs to find the cure.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import make_token, pem, rsa_key
from tests.world import World, world

Change = Callable[[World], object]
Words = tuple[str, ...]


def nothing(_: World) -> None:
    """The world is fine; the flags are not."""


def expire(w: World) -> None:
    (session,) = w.logins
    past = {"iat": 1_700_000_000, "exp": 1_700_003_600}
    w.token_file.write_text(w.oci.issue_token(session, **past))


def drop_token_key(w: World) -> None:
    lines = w.config.read_text().splitlines()
    w.config.write_text("\n".join(line for line in lines if "security_token_file" not in line))


@dataclass(frozen=True)
class Case:
    change: Change
    words: Words
    code: int = 1
    flags: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)


#: Our own command comes first, with the profile in it.
LOGIN = "ocihaul session login --profile-name DEFAULT (or: oci session authenticate"

CASES = {
    "missing config": Case(lambda w: w.config.unlink(), ("config", LOGIN)),
    "missing profile": Case(nothing, ("PROD", "DEFAULT"), 1, ("--profile", "PROD")),
    "missing token setting": Case(drop_token_key, ("security_token_file", "DEFAULT")),
    "missing key file": Case(lambda w: w.key_file.unlink(), ("oci_api_key.pem", "key_file")),
    "missing token file": Case(lambda w: w.token_file.unlink(), ("token", LOGIN)),
    "empty token": Case(lambda w: w.token_file.write_text(""), ("is empty", LOGIN)),
    "cut token": Case(
        lambda w: w.token_file.write_text(w.token_file.read_text()[:-7]),
        ("cut", LOGIN),
    ),
    "expired token": Case(expire, ("ended at 2023-11-14", LOGIN), 75),
    "empty key": Case(lambda w: w.key_file.write_text(""), ("is empty", "oci_api_key.pem")),
    "key with a passphrase": Case(
        lambda w: w.key_file.write_bytes(pem(rsa_key(), "x")), ("OCI_CLI_PASSPHRASE",)
    ),
    "key of another login": Case(
        lambda w: w.key_file.write_bytes(pem(rsa_key(1))),
        ("does not belong to the token", LOGIN),
    ),
    "token nobody issued": Case(
        lambda w: (
            w.key_file.write_bytes(pem(rsa_key())),
            w.token_file.write_text(make_token(rsa_key(), exp=4_000_000_000.0)),
        ),
        ("no longer accepts", LOGIN),
        75,
    ),
    "unreadable source": Case(
        nothing, ("No such file", "nowhere.tar"), 2, ("--file", "nowhere.tar")
    ),
    "directory as source": Case(nothing, ("directory",), 2, ("--file", os.sep)),
    "bucket not found": Case(
        nothing, ("BucketNotFound", "--bucket-name"), 1, ("--bucket-name", "nowhere")
    ),
    "unknown region": Case(
        nothing,
        ("us-ashburm-1", "us-ashburn-1"),
        1,
        ("--region", "us-ashburm-1"),
        {"OCI_CLI_ENDPOINT": ""},
    ),
    "part size 0": Case(nothing, ("--part-size", "1 MiB to 50 GiB"), 2, ("--part-size", "0")),
    "part size 60000": Case(
        nothing, ("--part-size", "1 MiB to 50 GiB"), 2, ("--part-size", "60000")
    ),
    "name missing for stdin": Case(nothing, ("--name",), 2, ("--file", "-", "--name", "")),
    "unknown flag": Case(nothing, ("--no-such-flag",), 2, ("--no-such-flag",)),
    "unknown auth": Case(nothing, ("security_token", "api_key"), 2, ("--auth", "magic")),
    "metadata that is no JSON": Case(nothing, ("--metadata",), 2, ("--metadata", "{")),
    "query that is none": Case(nothing, ("--query",), 2, ("--query", "[")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_bad_input_names_the_cure_and_sends_nothing(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    with world(tmp_path) as w:
        source = w.file(20)
        case.change(w)
        ran = w.run(*w.put(source, *case.flags), **case.environ)
        assert ran.code == case.code, ran.err
        for word in case.words:
            assert word in ran.err, ran.err
        assert ran.out == ""
        assert w.part_bytes_received() == 0
        assert w.oci.object_names("backups") == []


@pytest.mark.parametrize("size", ["0", "60000"])
def test_a_part_size_that_cannot_be_is_told_before_a_session_that_is_over_is_waited_for(
    tmp_path: Path, size: str
) -> None:
    with world(tmp_path) as w:
        expire(w)
        put = ("os", "object", "put", "-bn", "backups", "--file", str(w.file(1000)))
        ran = w.run(*put, "--auth", "security_token", "--part-size", size)
        assert ran.code == 2, ran.err
        assert "--part-size: " in ran.err
        assert w.oci.log.entries() == []
