"""The live probe finds out how the emulator is set, whichever of both answers it gives."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Emulator, Fault, Settings
from ocihaul.emulator.log import LogEntry
from ocihaul.emulator.settings import ANSWERS, settings_like
from tools.live_probe import session_questions
from tools.live_probe.__main__ import main
from tools.live_probe.probe import GROUPS
from tools.live_probe.scratch import PREFIX

#: The probe goes with no release, and its waits are long.
pytestmark = pytest.mark.slow

MIB = 2**20
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Probe:
    """Runs the probe against an emulator; `rc` is its exit status."""

    home: Path
    rc: int = 0

    def __call__(
        self, oci: Emulator, *args: str, profile: Callable[..., Path] | None = None
    ) -> Any:
        config = (profile or oci.write_profile)(self.home / "oci")
        output = self.home / "answers.json"
        given = ["--config-file", str(config), "--endpoint", oci.endpoint]
        given += ["--auth-endpoint", oci.endpoint, "--output", str(output), *args]
        self.rc = main(given)
        return json.loads(output.read_text()) if output.exists() else None


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    for name in list(os.environ):
        if name.startswith(("OCI_", "OCIHAUL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return Probe(tmp_path)


def bucket_names(oci: Emulator) -> list[str]:
    store = oci.store
    with store.lock:
        return [bucket.name for bucket in store.buckets()]


#: Group, how long silence lasts until it is an answer, settings, and what has to be found out.
CASES: list[tuple[str, float, dict[str, Any], dict[str, Any]]] = [
    ("session", 1, {}, {"refresh_moves_the_end": True, "old_token_refused_after": "not seen"}),
    ("session", 1, {"refresh_extends": False}, {"refresh_moves_the_end": False}),
    ("session", 1, {"sess_exp_in": frozenset({"login", "upst"})}, {"sess_exp_in": ["login"]}),
    ("session", 1, {"sess_exp_in": frozenset({"refresh", "upst"})}, {"sess_exp_in": ["refresh"]}),
    ("expect", 10, {}, {"sends_100_continue": True}),
    ("expect", 0.3, {"ignore_expect": True}, {"sends_100_continue": False}),
    (
        "refusal",
        10,
        {},
        {"refusal_comes": "early", "refused_body": "closed", "close_announced": True},
    ),
    (
        "refusal",
        10,
        {"announce_close": False},
        {"refusal_comes": "early", "refused_body": "closed", "close_announced": False},
    ),
    (
        "refusal",
        10,
        {"early_close": False},
        {"refusal_comes": "early", "refused_body": "drained", "close_announced": None},
    ),
    (
        "refusal",
        0.3,
        {"answers_early": False},
        {"refusal_comes": "after the body", "refused_body": None},
    ),
    ("parts", 1, {}, {"smallest_part": 2 * MIB, "unequal_parts": True}),
    (
        "parts",
        1,
        {"enforce_min_part_size": True, "min_part_size": 5 * MIB, "unequal_parts": False},
        {"smallest_part": 5 * MIB, "unequal_parts": False},
    ),
    ("parts", 1, {"enforce_min_part_size": True}, {"smallest_part": 10 * MIB}),
    (
        "checksums",
        1,
        {},
        {
            "declared_crc32c_told": True,
            "undeclared_crc32c": [],
            "wrong_checksum_refused": True,
        },
    ),
    ("checksums", 1, {"checksums": "never"}, {"declared_crc32c_told": False}),
    ("checksums", 1, {"checks_bodies": False}, {"wrong_checksum_refused": False}),
    *[
        ("checksums", 1, {"undeclared_crc32c": frozenset({place})}, {"undeclared_crc32c": [place]})
        for place in ("part", "commit", "head")
    ],
    (
        "commit",
        1,
        {},
        {"commit_heeds": ["if-match", "if-none-match"], "unlisted_parts_refused": True},
    ),
    ("commit", 1, {"commit_ignores": frozenset({"if-match"})}, {"commit_heeds": ["if-none-match"]}),
    ("commit", 1, {"commit_ignores": frozenset({"if-none-match"})}, {"commit_heeds": ["if-match"]}),
    ("commit", 1, {"commit_needs_every_part": False}, {"unlisted_parts_refused": False}),
    ("unknown upload", 1, {}, {"unknown_upload_at_part": "UploadNotFound"}),
    (
        "unknown upload",
        1,
        {"unknown_upload_at_part": "NoSuchUpload"},
        {
            "unknown_upload_at_part": "NoSuchUpload",
            "unknown_upload_at_commit": "UploadNotFound",
        },
    ),
    (
        "unknown upload",
        1,
        {"unknown_upload_at_commit": "NoSuchUpload"},
        {
            "unknown_upload_at_part": "UploadNotFound",
            "unknown_upload_at_commit": "NoSuchUpload",
        },
    ),
    ("answers", 1, {}, {"no_request_id": [], "unneeded_customer_key": "refused"}),
    ("answers", 1, {"no_request_id": frozenset({"head"})}, {"no_request_id": ["head"]}),
    ("answers", 1, {"no_request_id": frozenset({"206"})}, {"no_request_id": ["206"]}),
    ("answers", 1, {"unneeded_customer_key": "ignored"}, {"unneeded_customer_key": "ignored"}),
    ("PAR lists", 1, {}, {"par_lists_objects": True, "par_lists_parts": True}),
    ("PAR lists", 1, {"par_lists_objects": False}, {"par_lists_objects": False}),
    ("PAR lists", 1, {"par_lists_parts": False}, {"par_lists_parts": False}),
    ("PAR ignores", 1, {}, {"par_ignores": []}),
    *[
        ("PAR ignores", 1, {"par_ignores": frozenset({header})}, {"par_ignores": [header]})
        for header in (
            "if-match",
            "if-none-match",
            "content-md5",
            "storage-tier",
            "opc-checksum-algorithm",
        )
    ],
    ("PAR refusals", 1, {}, {"par_refusal": 404, "par_misuse_refusal": 404}),
    (
        "PAR refusals",
        1,
        {"par_refusal": 401, "par_misuse_refusal": 403},
        {"par_refusal": 401, "par_misuse_refusal": 403},
    ),
    ("rate", 1, {}, {"rate_limit": "not reached"}),
]


@pytest.mark.parametrize(("group", "patience", "changes", "expected"), CASES)
def test_it_finds_out_how_the_service_is(
    probe: Probe, group: str, patience: float, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    # Claims with fractions: where both tokens are of the same second, the end moves all the same.
    settings = Settings(**{"integer_claims": False, **changes})
    with Emulator(settings) as oci:
        told = probe(oci, "--yes", "--only", group, f"--patience={patience}", "--watch=0.5")
        assert bucket_names(oci) == ["backups"]
    assert probe.rc == 0, told["unanswered"]
    assert {name: told["answers"][name] for name in expected} == expected
    like = settings_like(told["answers"])
    assert {name: like[name] for name in changes} == changes


def test_every_answer_is_a_question_and_the_other_way_round() -> None:
    assert sorted(key for group in GROUPS for key in group.keys) == sorted(ANSWERS)
    asked = {group for group, *_ in CASES}
    assert asked == {group.name for group in GROUPS}


def test_it_finds_out_when_the_old_token_dies(probe: Probe) -> None:
    with Emulator(Settings(refresh_kills_old_after=0.0, integer_claims=False)) as oci:
        told = probe(oci, "--yes", "--only", "session", "--watch=60")
        assert oci.auth.refreshes == 1
    seconds = told["answers"]["old_token_refused_after"]
    assert 0 <= seconds < 30
    assert settings_like(told["answers"])["refresh_kills_old_after"] == seconds


def test_it_finds_out_the_limit_of_the_rate(probe: Probe) -> None:
    with Emulator(Settings(rate_limit=5)) as oci:
        told = probe(oci, "--yes", "--only", "rate")
        refused = [entry for entry in oci.log.entries() if entry.status == 429]
    assert refused
    assert 1 <= told["answers"]["rate_limit"] <= 5


@pytest.mark.slow
def test_it_asks_all_and_tells_nothing_personal(
    probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: set[str] = set()
    running: list[Emulator] = []

    def note(_entry: LogEntry) -> None:
        # They go with the bucket.
        seen.update(*(oci.issued_par_secrets() for oci in running))

    with Emulator(Settings(namespace="acmecorp"), on_request=note) as oci:
        running.append(oci)
        told = probe(oci, "--yes", "--watch=0.5", "--patience=10")
        secrets = {*oci.auth.token_texts(), *seen}
        traffic = sum(e.body_received + e.body_sent for e in oci.log.entries())
        port = oci.endpoint.rpartition(":")[2]
    output = "".join(capsys.readouterr())
    assert (probe.rc, told["unanswered"]) == (0, {})
    assert 7 * MIB < traffic < 200_000_000
    assert len(seen) == 3
    assert not [secret for secret in secrets if secret in output + json.dumps(told)]
    for personal in ("acmecorp", "ocid1", PREFIX, port, "DEFAULT", str(probe.home)):
        assert personal not in json.dumps(told)
    assert "send 2 MiB that are refused" in output


#: The other answer to each question.
OTHERWISE = {
    "refresh_moves_the_end": False,
    "old_token_refused_after": "not seen",
    "sess_exp_in": ["login"],
    "sends_100_continue": False,
    "refusal_comes": "early",
    "refused_body": "drained",
    "close_announced": None,
    "smallest_part": 5 * MIB,
    "unequal_parts": False,
    "unlisted_parts_refused": False,
    "declared_crc32c_told": False,
    "undeclared_crc32c": ["part"],
    "wrong_checksum_refused": False,
    "commit_heeds": [],
    "par_lists_objects": False,
    "par_lists_parts": False,
    "par_ignores": ["if-match", "content-md5", "opc-checksum-algorithm"],
    "par_refusal": 401,
    "par_misuse_refusal": 403,
    "no_request_id": ["head", "206"],
    "unknown_upload_at_part": "NoSuchUpload",
    "unknown_upload_at_commit": "UploadGone",
    "unneeded_customer_key": "ignored",
    "rate_limit": "not reached",
}


@pytest.mark.slow
def test_an_emulator_by_the_answers_gives_the_same_answers(probe: Probe) -> None:
    with Emulator(Settings(**settings_like(OTHERWISE), integer_claims=False)) as oci:
        told = probe(oci, "--yes", "--watch=0.5", "--patience=3")
        assert bucket_names(oci) == ["backups"]
    assert told["answers"] == OTHERWISE
    assert told["unanswered"] == {}


def test_an_api_key_asks_all_but_the_session(probe: Probe) -> None:
    with Emulator(Settings()) as oci:
        told = probe(
            oci,
            *("--yes", "--profile", "APIKEY", "--auth", "api_key"),
            *("--only", "session", "--only", "answers"),
            profile=oci.write_api_key_profile,
        )
        assert oci.auth.refreshes == 0
    assert probe.rc == 3
    assert "session authenticate" in told["unanswered"]["refresh_moves_the_end"]
    assert told["answers"]["refresh_moves_the_end"] is None
    assert told["answers"]["no_request_id"] == []


def test_without_refresh_the_session_stays_as_it_is(probe: Probe) -> None:
    with Emulator(Settings()) as oci:
        probe(oci, "--yes", "--no-refresh", "--only", "session", "--only", "answers")
        assert oci.auth.refreshes == 0
    assert probe.rc == 0


def test_what_is_not_clear_is_not_answered(probe: Probe) -> None:
    with Emulator(Settings()) as oci:
        oci.faults.add(Fault(operation="UploadPart", status=403))
        told = probe(oci, "--yes", "--only", "parts", "--only", "answers")
        oci.faults.assert_all_fired()
        assert bucket_names(oci) == ["backups"]
    assert probe.rc == 3
    assert told["answers"]["smallest_part"] is None
    assert told["unanswered"]["smallest_part"].startswith("UploadPart: 403")
    assert told["answers"]["unneeded_customer_key"] == "refused"


@pytest.mark.parametrize(
    "operation", ["CreateBucket", "UploadPart", "CreatePreauthenticatedRequest", "GetObject"]
)
def test_an_interrupted_run_removes_its_bucket(probe: Probe, operation: str) -> None:
    started: list[subprocess.Popen[bytes]] = []
    fired = threading.Event()

    def interrupt(entry: LogEntry) -> None:
        if entry.operation == operation and not fired.is_set():
            fired.set()
            started[0].terminate()

    with Emulator(Settings(), on_request=interrupt) as oci:
        config = oci.write_profile(probe.home / "oci")
        command = [sys.executable, "-m", "tools.live_probe", "--yes", "--no-refresh"]
        command += ["--config-file", str(config), "--endpoint", oci.endpoint]
        started.append(
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        output = started[0].communicate(timeout=60)[0].decode()
        assert fired.is_set()
        assert bucket_names(oci) == ["backups"]
    assert started[0].returncode == 130, output
    assert output.endswith("interrupted\n")


def test_where_the_bucket_stays_it_says_how_to_remove_it(
    probe: Probe, capsys: pytest.CaptureFixture[str]
) -> None:
    with Emulator(Settings()) as oci:
        oci.faults.add(Fault(operation="DeleteBucket", status=403))
        told = probe(oci, "--yes", "--only", "answers")
        oci.faults.assert_all_fired()
        left = next(name for name in bucket_names(oci) if name.startswith(PREFIX))
        assert f"--remove {left}" in capsys.readouterr().err
        assert probe.rc == 1
        assert told["answers"]["no_request_id"] == []
        probe(oci, "--remove", left)
        assert bucket_names(oci) == ["backups"]


def test_a_token_at_its_end_is_not_watched(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_questions, "_REST", 3600.0)
    with Emulator(Settings(token_ttl=3600.0)) as oci:
        told = probe(oci, "--yes", "--only", "session", "--watch=0.5")
    assert probe.rc == 3
    assert told["answers"]["old_token_refused_after"] is None
    assert "at its end" in told["unanswered"]["old_token_refused_after"]


def test_the_bucket_of_a_killed_run_can_be_removed(probe: Probe) -> None:
    with Emulator(Settings()) as oci:
        oci.create_bucket(f"{PREFIX}left")
        oci.put_object(f"{PREFIX}left", "a/b", b"data")
        probe(oci, "--remove", f"{PREFIX}left")
        assert bucket_names(oci) == ["backups"]
        assert probe.rc == 0
        probe(oci, "--remove", "backups")
        assert probe.rc == 1
        assert bucket_names(oci) == ["backups"]


def test_nothing_is_done_without_a_yes(probe: Probe, capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(Settings()) as oci:
        assert probe(oci) is None
        assert oci.log.count(operation="CreateBucket") == 0
    assert probe.rc == 1
    error = capsys.readouterr().err
    assert "make a bucket" in error
    assert "Give --yes." in error
