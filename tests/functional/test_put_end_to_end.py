"""The main job: the report's command through many token lives, with what may happen meanwhile."""

import json
import shutil
import signal
from pathlib import Path
from threading import Timer

import pytest

from ocihaul.emulator import LogEntry
from ocihaul.emulator.settings import RefreshOutage
from ocihaul.events import RenewalFailed
from tests.world import MIB, World, world


def check_renewals(w: World) -> None:
    """One refresh for each generation, and nothing signed in the last tenth of a life."""
    refreshed = [entry.token_id for entry in w.oci.log.entries(operation="RefreshToken")]
    assert len(refreshed) == len(set(refreshed)), "a generation was refreshed twice"
    ages = [
        entry.token_age_fraction
        for entry in w.oci.log.entries()
        if entry.operation != "RefreshToken" and entry.token_age_fraction is not None
    ]
    assert ages
    assert max(ages) < 0.9


def tokens_used(w: World) -> set[str | None]:
    return {entry.token_id for entry in w.oci.log.entries(operation="UploadPart")}


@pytest.mark.slow
def test_weakness_01_tokens_of_four_seconds_fifteen_threads_forty_seconds(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=10.5 * MIB) as w:
        source = w.file(420 * MIB)
        w.log_in()
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert json.loads(ran.out)["opc-multipart-md5"].endswith("-42")
        assert "md5 checksum matches [Local: " in ran.err
        assert w.part_bytes_received() == source.stat().st_size, "no byte was sent twice"
        assert w.storage_calls_with_401() == 0
        check_renewals(w)
        assert w.refreshes() >= 15
        assert len(tokens_used(w)) > 2
        assert w.oci.object_info("backups", source.name).storage_tier == "Archive"


@pytest.mark.slow
def test_two_processes_share_one_session(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=10 * MIB) as w:
        sources = [w.file(80 * MIB, "one.tar"), w.file(70 * MIB, "two.tar")]
        w.log_in()
        processes = [w.start(*w.put(source)) for source in sources]
        ran = [w.finish(process) for process in processes]
        assert [one.code for one in ran] == [0, 0], [one.err for one in ran]
        assert all(w.arrived_whole(source) for source in sources)
        assert w.part_bytes_received() == 150 * MIB
        check_renewals(w)
        assert w.refreshes() <= 16, "together no more than one alone"
        assert "file" in ran[0].err + ran[1].err


@pytest.mark.slow
@pytest.mark.parametrize("login", [False, True], ids=["new token", "new token and key"])
def test_a_token_replaced_on_disk_is_used_within_two_seconds(tmp_path: Path, login: bool) -> None:
    with world(tmp_path, bandwidth=10 * MIB) as w:
        source = w.file(80 * MIB)
        replaced: list[float] = []

        def replace() -> None:
            if login:
                shutil.rmtree(w.home / "oci" / "sessions")
                w.oci.write_profile(w.home / "oci")
            else:
                entry = w.oci.log.entries(operation="CreateMultipartUpload")[0]
                session = next(s for s in w.logins if s.session_id == entry.session_id)
                w.token_file.write_text(w.oci.issue_token(session))
            replaced.append(w.token_file.stat().st_mtime)

        timer = Timer(2.0, replace)
        timer.start()
        result = w.upload(source, parallel=3)
        timer.join()
        assert w.arrived_whole(source)
        assert result.bytes_resent == 0
        assert w.oci.log.count(status=401) == 0
        assert w.refreshes() == 0
        first = w.oci.log.entries()[0].token_id

        def is_late(entry: LogEntry) -> bool:
            return entry.started_at > replaced[0] + 2.0

        late = [entry.token_id for entry in w.oci.log.entries() if is_late(entry)]
        assert late
        assert first not in late
        assert w.sources() == ["start", "file"]


@pytest.mark.slow
def test_all_tokens_revoked_at_once_are_mended_by_one_refresh(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=15 * MIB) as w:
        source = w.file(100 * MIB)
        timer = Timer(2.0, lambda: w.oci.revoke_all(refreshable=True))
        timer.start()
        result = w.upload(source)
        timer.join()
        assert w.arrived_whole(source)
        assert w.storage_calls_with_401() > 0, "the revocation was met"
        assert w.refreshes() == 1
        assert result.bytes_resent == 0


@pytest.mark.slow
def test_all_tokens_revoked_at_once_are_mended_by_one_reread(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=15 * MIB) as w:
        source = w.file(100 * MIB)

        def revoke_and_log_in() -> None:
            w.oci.revoke_all()
            w.oci.write_profile(w.home / "oci")

        timer = Timer(2.0, revoke_and_log_in)
        timer.start()
        result = w.upload(source)
        timer.join()
        assert w.arrived_whole(source)
        assert "file" in w.sources()
        assert result.bytes_resent == 0


@pytest.mark.slow
def test_a_token_that_dies_under_way_costs_the_part_but_not_the_upload(tmp_path: Path) -> None:
    """A service that looks at the token again when the body is there."""
    with world(tmp_path, bandwidth=15 * MIB, check_token_at="end") as w:
        source = w.file(60 * MIB)
        timer = Timer(1.5, lambda: w.oci.revoke_all(refreshable=True))
        timer.start()
        result = w.upload(source)
        timer.join()
        assert w.arrived_whole(source)
        assert w.refreshes() == 1
        assert 0 < result.bytes_resent <= 5 * 10 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("outage", ["500", "429", "hang", "html", "cut"])
def test_an_outage_of_the_auth_service_for_half_a_life_is_not_noticed(
    tmp_path: Path, outage: RefreshOutage
) -> None:
    life = 12.0
    with world(tmp_path, token_ttl=life, integer_claims=False, bandwidth=10 * MIB) as w:
        source = w.file(160 * MIB)
        w.log_in()
        down = Timer(0.4 * life, lambda: w.oci.configure(refresh_outage=outage))
        up = Timer(0.9 * life, lambda: w.oci.configure(refresh_outage=None))
        down.start()
        up.start()
        result = w.upload(source)
        assert w.arrived_whole(source)
        assert len(w.heard.of(RenewalFailed)) >= 2, "the outage was met"
        assert w.storage_calls_with_401() == 0
        assert result.bytes_resent == 0


@pytest.mark.slow
@pytest.mark.parametrize("dies_after", [0.0, 0.5])
def test_a_refresh_that_kills_the_older_token_is_switched_to_at_once(
    tmp_path: Path, dies_after: float
) -> None:
    with world(
        tmp_path, token_ttl=3.0, refresh_kills_old_after=dies_after, bandwidth=12 * MIB
    ) as w:
        source = w.file(100 * MIB)
        w.log_in()
        result = w.upload(source, parallel=15)
        assert w.arrived_whole(source)
        assert result.bytes_resent == 0
        refreshed = [entry.token_id for entry in w.oci.log.entries(operation="RefreshToken")]
        assert len(refreshed) == len(set(refreshed))


@pytest.mark.parametrize("offset", [-3600.0, 3600.0])
def test_a_clock_wrong_by_an_hour_is_corrected_and_said(tmp_path: Path, offset: float) -> None:
    with world(tmp_path, clock_offset=offset, token_ttl=60.0) as w:
        source = w.file(30 * MIB)
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert "clock" in ran.err
        assert w.part_bytes_received() == 30 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("offset", [-600.0, 600.0], ids=["ahead", "behind"])
def test_a_clock_wrong_by_ten_minutes_neither_ends_a_session_nor_delays_its_renewal(
    tmp_path: Path, offset: float
) -> None:
    """By the local clock each token is long over, or not even issued yet."""
    with world(tmp_path, clock_offset=offset, token_ttl=8.0, bandwidth=10 * MIB) as w:
        source = w.file(110 * MIB)
        w.log_in()
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert "the local clock is" in ran.err
        assert w.refreshes() >= 2
        # Finding B18: what was renewed has a life ahead of it, whatever the local clock says.
        renewed = [line for line in ran.err.splitlines() if "session renewed" in line]
        assert len(renewed) >= 2
        assert all("valid until" in line and "expired" not in line for line in renewed)
        assert w.part_bytes_received() == 110 * MIB, "nothing was sent twice"


@pytest.mark.slow
def test_a_machine_that_was_suspended_goes_on_though_its_token_has_died(tmp_path: Path) -> None:
    """The process stands still for three lives of its token; a dead token is not refreshed."""
    with world(tmp_path, token_ttl=2.0, upst_ttl=2.0, bandwidth=10 * MIB) as w:
        w.oci.write_api_key_profile(w.home / "oci", "KEYS")
        source = w.file(50 * MIB)
        w.log_in()
        running = w.start(*w.put(source, "--renew-with", "KEYS", "--parallel-upload-count", "2"))
        while not w.oci.log.count(operation="UploadPart"):
            w.stop.wait(0.05)
        running.send_signal(signal.SIGSTOP)
        w.stop.wait(6)
        running.send_signal(signal.SIGCONT)
        ran = w.finish(running)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert w.oci.auth.minted >= 1, "only that could help"


@pytest.mark.slow
def test_a_session_that_ends_says_why_when_and_what_to_run_and_exits_75(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=8.0, session_ttl=10.0, bandwidth=10 * MIB) as w:
        source = w.file(200 * MIB)
        w.log_in()
        ran = w.run(*w.put(source))
        assert ran.code == 75, ran.err
        assert ran.out == ""
        (upload,) = w.oci.uploads("backups")
        assert upload.parts, "what was let in is kept"
        cure = "ocihaul session login --profile-name DEFAULT"
        for words in ("session has expired", "UTC", upload.upload_id, cure):
            assert words in ran.err
        assert w.part_bytes_received() == sum(part.size for part in upload.parts)


@pytest.mark.slow
def test_a_session_that_is_over_before_the_start_sends_nothing_and_exits_75(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        w.oci.revoke_all()
        ran = w.run(*w.put(w.file(30 * MIB)))
        assert ran.code == 75, ran.err
        assert "session has expired" in ran.err
        assert w.part_bytes_received() == 0
