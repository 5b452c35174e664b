"""`session status|refresh|validate` and `doctor` as they are run, against the emulator."""

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from ocihaul.session.lockfile import lock_file_for
from tests.unit.session.keeper.test_metrics import parsed
from tests.world import Ran, World, world


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        yield running


# status


def test_status_tells_people_what_they_need(oci: World) -> None:
    ran = oci.run("session", "status")
    assert ran.code == 0, ran.err
    for words in ("DEFAULT: usable", "by refresh, until", "mode 600"):
        assert words in ran.out
    for left in (r"token .*\(in (59 min|1 h)", r"session .*\(in (23 h 59|24 h)"):
        assert re.search(left, ran.out), ran.out
    assert oci.oci.log.count() == 0, "nothing is sent"


def test_status_takes_several_profiles_and_one_that_is_missing_spoils_the_exit(oci: World) -> None:
    oci.oci.write_profile(oci.home / "oci", "SECOND")
    both = ("session", "status", "--profile", "DEFAULT", "--profile", "SECOND")
    ran = oci.run(*both, "--json")
    assert ran.code == 0, ran.err
    assert [each["profile"] for each in json.loads(ran.out)["data"]] == ["DEFAULT", "SECOND"]
    ran = oci.run(*both, "--profile", "NOBODY", "--json")
    assert ran.code == 1
    documents = json.loads(ran.out)["data"]
    assert [each["usable"] for each in documents] == [True, True, False]
    assert "NOBODY" in documents[2]["problems"][0]


def test_status_as_json_is_complete_and_can_be_queried(oci: World) -> None:
    document = json.loads(oci.run("session", "status", "--online", "--output", "json").out)
    (session,) = document["data"]
    assert session["key-matches"] is True
    assert 3500 < session["token"]["expires-in"] <= 3600
    assert 86000 < session["session"]["ends-in"] <= 86400
    assert session["renewal"]["refresh"] is True
    assert abs(session["clock-offset"]) < 3
    assert session["files"]["token"]["private"] is True
    ran = oci.run("session", "status", "--query", "data[0].renewal.refresh")
    assert ran.out.strip() == "true"
    assert oci.oci.log.count(operation="RefreshToken") == 0


@pytest.mark.slow
def test_status_tells_when_the_token_was_last_written(oci: World) -> None:
    written = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    os.utime(oci.token_file, (written.timestamp(),) * 2)
    ran = oci.run("session", "status", TZ="UTC")
    assert re.search(r"^  written +2026-01-02 03:04:05\+00:00 \(.* ago\)$", ran.out, re.MULTILINE)
    (session,) = json.loads(oci.run("session", "status", "--json").out)["data"]
    assert session["last-renewal"] == written.isoformat()
    assert oci.run("session", "refresh").code == 0
    (session,) = json.loads(oci.run("session", "status", "--json").out)["data"]
    renewed = datetime.fromisoformat(session["last-renewal"])
    assert renewed.timestamp() == pytest.approx(oci.token_file.stat().st_mtime, abs=0.001)
    assert renewed > written


def test_status_asks_for_the_time_without_signing(oci: World) -> None:
    oci.oci.configure(clock_offset=600.0)
    ran = oci.run("session", "status", "--online")
    assert "10 min 00 s behind" in ran.out
    (entry,) = oci.oci.log.entries()
    assert "authorization" not in entry.headers


def test_finding_b18_status_reckons_with_the_time_of_the_service(oci: World) -> None:
    now = int(time.time())
    ahead = oci.oci.issue_token(oci.logins[0], iat=now - 7200, exp=now - 3540)
    oci.token_file.write_text(ahead)
    oci.oci.configure(clock_offset=-7200.0)
    assert "not usable" in oci.run("session", "status").out
    ran = oci.run("session", "status", "--online")
    assert ran.code == 0, ran.out
    assert "ends" in ran.out
    assert "(in 1 h" in ran.out


def test_finding_b18_status_says_of_a_token_from_the_future_that_the_clock_is_behind(
    oci: World,
) -> None:
    now = int(time.time())
    oci.token_file.write_text(oci.oci.issue_token(oci.logins[0], iat=now + 7200, exp=now + 9000))
    out = oci.run("session", "status").out
    assert "clock" in out
    assert "the token is from the future (--online asks" in out


@pytest.mark.slow
def test_status_of_a_mismatched_pair_and_of_an_expired_token_is_not_usable(oci: World) -> None:
    other = oci.oci.login()
    oci.key_file.write_bytes(other.private_key_pem)
    ran = oci.run("session", "status")
    assert ran.code == 1
    assert "does not belong to the token" in ran.out
    oci.oci.write_profile(oci.home / "oci", session=oci.logins[0])
    oci.token_file.write_text(
        oci.oci.issue_token(oci.logins[0], iat=int(time.time()) - 60, exp=int(time.time()) - 1)
    )
    ran = oci.run("session", "status")
    assert ran.code == 1
    assert "not usable" in ran.out
    assert "cannot be refreshed" in ran.out


def test_status_says_who_can_mint(oci: World) -> None:
    oci.oci.write_api_key_profile(oci.home / "oci", "ROBOT")
    ran = oci.run("session", "status", OCIHAUL_RENEW_WITH="ROBOT")
    assert "API key of profile ROBOT" in ran.out


def test_status_answers_at_once(oci: World) -> None:
    """The promise is 0.25 s on a quiet machine; a test machine gets ten times that."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        assert oci.run("session", "status").code == 0
        took.append(time.perf_counter() - started)
    assert min(took) < 2.5


@pytest.mark.untraced
def test_status_does_not_load_what_it_does_not_need(oci: World) -> None:
    """The fast answer comes from what is not imported; measured times vary, this does not."""
    code = (
        "import sys; from ocihaul.cli.app import run; run(['session', 'status']);"
        "print([m for m in ('rich', 'h11', 'ocihaul.http.client', 'crc32c',"
        " 'ocihaul.transfer.upload.upload', 'jmespath', 'jwt', 'ocihaul.transport.pool',"
        " 'ocihaul.events', 'encodings.idna')"
        " if m in sys.modules])"
    )
    ran = oci.finish(oci.start_python("-c", code))
    assert ran.out.splitlines()[-1] == "[]", ran.out


# refresh


def test_refresh_says_what_the_stock_cli_says_and_replaces_the_file(oci: World) -> None:
    oci.oci.configure(token_ttl=7200.0)
    before = oci.token_file.read_text()
    ran = oci.run("session", "refresh")
    assert ran.code == 0, ran.err
    assert ran.out == ""
    url = f"{oci.oci.endpoint}/v1/authentication/refresh"
    assert f"Attempting to refresh token from {url}" in ran.err
    assert "Successfully refreshed token" in ran.err
    assert oci.token_file.read_text() != before
    assert oci.token_file.stat().st_mode & 0o777 == 0o600
    assert oci.refreshes() == 1


def test_refresh_that_moves_nothing_is_a_failure_with_its_reason(oci: World) -> None:
    token = oci.oci.issue_token(oci.logins[0], iat=int(time.time()) - 600)
    oci.token_file.write_text(token)
    oci.oci.configure(refresh_extends=False)
    ran = oci.run("session", "refresh")
    assert ran.code == 1
    assert "did not move the token's end" in ran.err
    assert "Successfully" not in ran.err


def test_refresh_of_a_session_that_is_over_is_a_failure(oci: World) -> None:
    oci.oci.revoke_all()
    ran = oci.run("session", "refresh")
    assert ran.code == 1
    assert "no longer valid and cannot be refreshed" in ran.err
    assert "oci session authenticate" in ran.err


@pytest.mark.slow
def test_refresh_survives_a_hiccup_and_gives_up_on_an_outage(oci: World) -> None:
    hiccup = oci.oci.faults.add(Fault(operation="RefreshToken", status=503))
    ran = oci.run("session", "refresh")
    assert ran.code == 0, ran.err
    assert hiccup.fired == 1
    oci.oci.configure(refresh_outage="500")
    ran = oci.run("session", "refresh", "--no-retry")
    assert ran.code == 75
    assert "500" in ran.err


def test_refresh_gives_up_on_a_service_that_hangs(oci: World) -> None:
    oci.oci.configure(refresh_outage="hang")
    started = time.monotonic()
    ran = oci.run("session", "refresh", "--read-timeout", "1", "--no-retry")
    assert ran.code == 75
    assert time.monotonic() - started < 5


def test_refresh_of_a_profile_without_a_token_names_file_and_cure(oci: World) -> None:
    config = oci.oci.write_api_key_profile(oci.home / "keys", "ROBOT")
    ran = oci.run("session", "refresh", "--profile", "ROBOT", "--config-file", str(config))
    assert ran.code == 1
    assert "security_token_file" in ran.err
    assert "[ROBOT]" in ran.err


# validate


def test_validate_asks_the_service(oci: World) -> None:
    ran = oci.run("session", "validate")
    assert (ran.code, ran.out) == (0, "")
    assert "Session is valid until" in ran.err
    assert oci.oci.log.count(status=200) == 1
    oci.oci.revoke_all()
    ran = oci.run("session", "validate")
    assert ran.code == 1
    assert "Session was deemed invalid by service" in ran.err
    assert oci.refreshes() == 0


def test_validate_locally_sends_nothing(oci: World) -> None:
    oci.oci.revoke_all()
    assert oci.run("session", "validate", "--local").code == 0
    now = int(time.time())
    oci.token_file.write_text(oci.oci.issue_token(oci.logins[0], iat=now - 60, exp=now - 1))
    ran = oci.run("session", "validate", "--local")
    assert ran.code == 1
    assert "Session has expired" in ran.err
    assert oci.oci.log.count() == 0


def test_validate_with_a_wrong_clock_is_not_deceived(oci: World) -> None:
    oci.oci.configure(clock_offset=600.0)
    assert oci.run("session", "validate").code == 0


def test_validate_that_cannot_ask_says_so(oci: World) -> None:
    ran = oci.run("session", "validate", OCI_CLI_ENDPOINT="http://127.0.0.1:9")
    assert ran.code == 75
    assert "could not be asked" in ran.err


# Several profiles


def test_refresh_and_validate_take_several_profiles_each_by_its_name(oci: World) -> None:
    oci.oci.configure(token_ttl=7200.0)
    second = oci.oci.write_profile(oci.home / "oci", "SECOND")
    tokens = [oci.token_file, second.parent / "sessions" / "SECOND" / "token"]
    before = [path.read_text() for path in tokens]
    both = ("--profile", "DEFAULT", "--profile", "SECOND", "--profile", "DEFAULT")
    oci.token_file.with_name("oci_api_key.pem").chmod(0o640)
    ran = oci.run("session", "validate", *both)
    assert (ran.code, ran.out) == (0, ""), ran.err
    said = re.findall(r"^(\w+): Session is valid until", ran.err, re.MULTILINE)
    assert said == ["DEFAULT", "SECOND"]
    assert "DEFAULT: Notice: " in ran.err
    assert oci.oci.log.count(status=200) == 2, "each once"
    ran = oci.run("session", "refresh", *both)
    assert (ran.code, ran.out) == (0, ""), ran.err
    for name in ("DEFAULT", "SECOND"):
        assert f"{name}: Successfully refreshed token" in ran.err
    assert oci.refreshes() == 2
    assert all(path.read_text() != old for path, old in zip(tokens, before, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["refresh", "validate"])
def test_of_several_profiles_the_worst_decides_and_none_keeps_the_others_from_their_turn(
    oci: World, command: str
) -> None:
    def run(*profiles: str, **environ: str) -> Ran:
        named = [word for name in profiles for word in ("--profile", name)]
        return oci.run("session", command, "--no-retry", *named, **environ)

    oci.oci.configure(token_ttl=7200.0)
    oci.oci.write_profile(oci.home / "oci", "SECOND")
    dead = oci.oci.login()
    oci.oci.write_profile(oci.home / "oci", "DEAD", session=dead)
    oci.oci.end_session(dead)
    ran = run("NOBODY", "DEAD", "DEFAULT", "SECOND")
    assert ran.code == 1, ran.err
    assert "NOBODY: Error: " in ran.err
    assert re.search(r"DEAD: .*(no longer valid|deemed invalid)", ran.err)
    good = "Successfully refreshed token" if command == "refresh" else "Session is valid until"
    assert [f"{name}: {good}" in ran.err for name in ("DEFAULT", "SECOND", "DEAD")] == [
        *(True, True, False),
    ]
    nowhere = "http://127.0.0.1:9"
    away = {"OCIHAUL_AUTH_ENDPOINT": nowhere, "OCI_CLI_ENDPOINT": nowhere}
    ran = run("DEFAULT", "SECOND", **away)
    assert ran.code == 75, ran.err
    assert ran.err.count("Error: ") == 2
    assert run("NOBODY", "SECOND", **away).code == 1


# doctor


def test_doctor_finds_a_sound_session_well(oci: World) -> None:
    ran = oci.run("doctor")
    assert ran.code == 0, ran.out
    assert "PROBLEM" not in ran.out
    assert "all is well" in ran.out
    signed = [entry for entry in oci.oci.log.entries() if "authorization" in entry.headers]
    assert [entry.operation for entry in signed] == ["GetNamespace"]
    assert oci.refreshes() == 0


def test_doctor_finds_a_revoked_token_a_wrong_clock_and_open_files(oci: World) -> None:
    oci.oci.configure(clock_offset=-400.0)
    oci.oci.revoke_all()
    oci.key_file.chmod(0o644)
    ran = oci.run("doctor", "--json")
    assert ran.code == 1
    document = json.loads(ran.out)
    problems = {
        each["topic"]: each for each in document["findings"] if each["verdict"] == "problem"
    }
    assert problems.keys() == {"permissions", "clock", "request"}
    assert problems["permissions"]["mend"] == f"chmod 600 {oci.key_file}"
    assert document["well"] is False


def test_doctor_never_signs_with_a_key_of_another_login(oci: World) -> None:
    oci.key_file.write_bytes(oci.oci.login().private_key_pem)
    ran = oci.run("doctor")
    assert ran.code == 1
    assert "does not belong to the token" in ran.out
    assert not [entry for entry in oci.oci.log.entries() if "authorization" in entry.headers]


def test_doctor_without_a_configuration_says_which_and_how_to_make_it(oci: World) -> None:
    ran = oci.run("doctor", OCI_CLI_CONFIG_FILE=str(oci.home / "nowhere"))
    assert ran.code == 1
    assert "nowhere" in ran.out
    assert "mend:" in ran.out


def test_doctor_offline_asks_nobody(oci: World) -> None:
    assert oci.run("doctor", "--offline").code == 0
    assert oci.oci.log.count() == 0


def test_doctor_names_what_cannot_be_reached_and_the_proxy(oci: World) -> None:
    ran = oci.run("doctor", OCIHAUL_AUTH_ENDPOINT="http://127.0.0.1:9")
    assert ran.code == 1
    assert "auth cannot be reached at http://127.0.0.1:9" in ran.out
    ran = oci.run("doctor", "--proxy", "http://someone:pass-word-1@127.0.0.1:9")
    assert "through 127.0.0.1:9" in ran.out
    assert "pass-word-1" not in ran.out + ran.err


def test_doctor_knows_a_certificate_that_is_not_trusted_and_how_to_trust_it(
    tmp_path: Path,
) -> None:
    with world(tmp_path, tls=True) as w:
        assert w.run("doctor").code == 0
        before = w.oci.log.count()
        ran = w.run("doctor", "--json", OCI_CLI_CERT_BUNDLE="", REQUESTS_CA_BUNDLE="")
        assert ran.code == 1
        found = json.loads(ran.out)["findings"]
        problems = [each for each in found if each["verdict"] == "problem"]
        assert [each["topic"] for each in problems] == ["tls", "tls"], ran.out
        for each, service in zip(problems, ("Object Storage", "auth"), strict=True):
            assert f"{service}: the certificate of {w.oci.endpoint} is not trusted" in each["what"]
            assert "with --cert-bundle (or" in each["mend"]
        assert w.oci.log.count() == before, "nobody was sent anything"


def test_doctor_names_who_holds_the_lock_and_how_to_end_it(oci: World) -> None:
    code = (
        "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]);"
        "lock.acquire(); print('held', flush=True); time.sleep(100)"
    )
    lock = lock_file_for(oci.token_file)
    holder = oci.start_python("-c", code, str(lock))
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    ran = oci.run("doctor", "--offline")
    assert ran.code == 0, "it may well be renewing"
    assert re.search(rf"process {holder.pid} \(\S+\) holds {lock}", ran.out), ran.out
    assert f"kill {holder.pid}" in ran.out
    holder.kill()
    oci.finish(holder)
    assert lock.exists()
    ran = oci.run("doctor", "--offline")
    assert "no process holds the lock" in ran.out, "a lock file that is left blocks nothing"
    assert oci.run("session", "refresh").code == 0


def test_doctor_tells_of_an_rc_file_that_is_not_there(oci: World) -> None:
    ran = oci.run("doctor", "--offline", "--cli-rc-file", str(oci.home / "gone"))
    assert ran.code == 1
    assert f"the rc file {oci.home}/gone does not exist" in ran.out


def test_a_metrics_file_that_cannot_be_written_is_said_and_the_session_is_renewed(
    oci: World,
) -> None:
    now = int(time.time())
    oci.token_file.write_text(oci.oci.issue_token(oci.logins[0], iat=now - 2400, exp=now + 1200))
    old = oci.token_file.read_text()
    metrics = oci.home / "missing" / "o.prom"
    ran = oci.run("session", "keep", "--once", "--metrics-file", str(metrics))
    assert ran.code == 0, ran.err
    assert f"the metrics file {metrics} cannot be written: No such file or directory" in ran.err
    assert oci.token_file.read_text() != old


@pytest.mark.slow
def test_the_metrics_of_one_renewal_say_that_the_session_is_up(oci: World) -> None:
    now = int(time.time())
    oci.token_file.write_text(oci.oci.issue_token(oci.logins[0], iat=now - 2400, exp=now + 1200))
    metrics = oci.home / "o.prom"
    once = ("session", "keep", "--once", "--metrics-file", str(metrics))
    assert oci.run(*once).code == 0
    figures = parsed(metrics.read_text())
    of = '{profile="DEFAULT"}'
    assert figures["ocihaul_keeper_up"] == 0
    assert figures[f"ocihaul_session_up{of}"] == 1
    assert figures[f"ocihaul_session_renewable{of}"] == 1
    assert figures[f"ocihaul_session_token_expiry_timestamp_seconds{of}"] > now + 3000
    assert figures['ocihaul_session_renewals_total{profile="DEFAULT",source="refresh"}'] == 1
    oci.oci.revoke_all(refreshable=False)
    oci.token_file.write_text(oci.oci.issue_token(oci.logins[0], iat=now - 7200, exp=now - 10))
    assert oci.run(*once).code == 1
    figures = parsed(metrics.read_text())
    assert (figures[f"ocihaul_session_up{of}"], figures[f"ocihaul_session_renewable{of}"]) == (0, 0)
