"""The files in deploy/, as far as they can be checked without a container engine."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ocihaul.cli.run_result import FileCounts, RunResult
from ocihaul.cli.transfer_metrics import transfer_exposition

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "ocihaul-keep@NIGHT.service"
    shutil.copy(DEPLOY / "systemd" / "ocihaul-keep@.service", unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ocihaul-keep" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_a_pod_keeps_its_renewed_token_when_its_files_are_copied_again(tmp_path: Path) -> None:
    text = (DEPLOY / "kubernetes" / "sidecar.yaml").read_text()
    (command,) = re.findall(r'command: \["sh", "-c", "(umask .+)"\]', text)
    secret, pod = tmp_path / "secret", tmp_path / "pod"
    (secret / "..data").mkdir(parents=True)
    pod.mkdir()
    for name in ("config", "oci_api_key.pem", "token"):
        (secret / "..data" / name).write_text("the Secret's")
        (secret / name).symlink_to(Path("..data") / name)
    command = command.replace("/from", str(secret)).replace("/oracle/.oci", str(pod))
    subprocess.run(["sh", "-c", command], check=True)
    assert {each.name for each in pod.iterdir()} == {"config", "oci_api_key.pem", "token"}
    assert (pod / "token").stat().st_mode & 0o077 == 0
    (pod / "token").write_text("renewed")
    subprocess.run(["sh", "-c", command], check=True)
    assert (pod / "token").read_text() == "renewed"


def test_the_image_gets_what_its_build_needs_and_no_more() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert sorted(copied) == ["LICENSE", "README.md", "constraints.txt", "pyproject.toml", "src"]
    assert all((DEPLOY.parent / name).exists() for name in copied)


def test_only_the_image_changes_in_the_reports_command() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["ocihaul"]' in lines
    assert any(line.startswith("ENV HOME=/oracle") for line in lines)


def metrics() -> set[str]:
    """The metrics that `--metrics-file` writes."""
    files = FileCounts(transferred=1, unchanged=0, deleted=0, failed=1)
    result = RunResult(
        command="sync",
        object="/srv",
        state="partial",
        exit=1,
        bytes=1,
        moved=1,
        seconds=1.0,
        files=files,
    )
    return set(
        re.findall(
            r"^# TYPE (ocihaul_\w+) ", transfer_exposition(result, 1.0, earlier={}), re.MULTILINE
        )
    )


def test_the_alerts_ask_for_metrics_that_are_written() -> None:
    text = (DEPLOY / "prometheus" / "ocihaul-transfers.rules.yml").read_text()
    expressions = re.findall(r"^        expr: (.+)$", text, re.MULTILINE)
    assert len(expressions) == text.count("- alert: ") == 4
    asked = {name for line in expressions for name in re.findall(r"ocihaul_\w+", line)}
    assert asked <= metrics()
    assert "ocihaul_transfer_last_success_timestamp_seconds" in asked


def test_the_board_shows_every_metric_of_a_run() -> None:
    board = json.loads((DEPLOY / "grafana" / "ocihaul-transfers.json").read_text())
    expressions = [each["expr"] for panel in board["panels"] for each in panel["targets"]]
    shown = {name for line in expressions for name in re.findall(r"ocihaul_\w+", line)}
    assert shown <= metrics()
    left_out = {"ocihaul_transfer_last_run_timestamp_seconds", "ocihaul_transfer_runs_total"}
    assert metrics() - shown == left_out
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("kind", ["service", "timer"])
def test_the_units_of_a_backup_are_some(tmp_path: Path, kind: str) -> None:
    for name in ("service", "timer"):
        shutil.copy(DEPLOY / "systemd" / f"ocihaul-backup.{name}", tmp_path)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / f"ocihaul-backup.{kind}")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ocihaul-backup" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("cron/ocihaul-backup", ["CRON_TZ=Asia/Tokyo", "TZ=Asia/Tokyo"]),
        ("systemd/ocihaul-backup.timer", ["OnCalendar=*-*-* 02:00:00 Asia/Tokyo"]),
        ("systemd/ocihaul-backup.service", ["RestartForceExitStatus=75", "TZ="]),
        ("kubernetes/backup-cronjob.yaml", ["timeZone: Asia/Tokyo", "name: TZ, value: Asia/Tokyo"]),
        ("kubernetes/backup-cronjob.yaml", ["concurrencyPolicy: Forbid", "OCIHAUL_NOTIFY"]),
        ("compose/backup.yaml", ["TZ: ${TZ:-Asia/Tokyo}", "OCIHAUL_NOTIFY"]),
    ],
)
def test_each_way_to_run_a_backup_names_its_zone_and_the_script(
    file: str, words: list[str]
) -> None:
    text = (DEPLOY / file).read_text()
    for word in words:
        assert word in text
    assert "nightly-backup.sh" in text or file.endswith(".timer")
