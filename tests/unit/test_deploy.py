"""The files in deploy/, as far as they can be checked without a container engine."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from ocihaul.cli import process
from ocihaul.cli.run_result import FileCounts, RunResult, transfer_exposition
from tests.functional.directories import make
from tests.world import World, world

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


def test_finding_d14_the_image_gets_what_its_build_needs_and_no_more() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    copied = {word for words in copies if not words[0].startswith("--from=") for word in words}
    assert all((DEPLOY.parent / name).exists() for name in copied)
    ignore = (DEPLOY.parent / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    assert let_in == {
        name.replace(f"requirements/{Path(name).name}", "requirements") for name in copied
    }
    assert "*" in ignore


def test_the_image_is_made_of_what_has_a_hash() -> None:
    """Each file in requirements/ pins what constraints.txt pins, by hash, and names no index."""
    (constraints,) = [(DEPLOY.parent / "constraints.txt").read_text().lower()]
    pins = dict(line.split("==") for line in constraints.replace("_", "-").split())
    files = sorted((DEPLOY.parent / "requirements").glob("*.txt"))
    assert {file.stem for file in files} == {"build", "emulator", "official", "runtime"}
    for file in files:
        text = file.read_text()
        assert "://" not in text
        assert "--index" not in text
        entries = re.split(r"\n(?=\S)", text.replace("\\\n", " ").strip())
        for entry in entries:
            name, version = entry.split()[0].split("==")
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
            if file.stem != "official":  # held to what the official tools ask for
                assert pins[name.replace("_", "-")] == version


def test_an_image_is_built_for_each_target() -> None:
    stages = re.findall(
        r"^FROM .+ AS (\S+)$", (DEPLOY / "docker" / "Dockerfile").read_text(), re.MULTILINE
    )
    bake = (DEPLOY / "docker" / "bake.hcl").read_text()
    targets = re.findall(r'^  target   = "(\w+)"$', bake, re.MULTILINE)
    assert stages[-1] == "ocihaul", "the one that is built where none is named"
    assert set(targets) == {"ocihaul", "official", "emulator"} <= set(stages)
    assert '["linux/amd64", "linux/arm64"]' in bake


def test_only_the_image_changes_in_the_reports_command() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["ocihaul"]' in lines
    assert any(line.startswith("ENV HOME=/oracle") for line in lines)


JOB = DEPLOY / "kubernetes" / "indexed-job.yaml"


@pytest.mark.parametrize("file", sorted((DEPLOY / "kubernetes").glob("*.yaml")), ids=str)
def test_kubernetes_takes_the_manifests(file: Path) -> None:
    version = kubernetes_validate.latest_version()
    for document in yaml.safe_load_all(file.read_text()):
        kubernetes_validate.validate(document, version, strict=True)
        document["spec"]["surprise"] = 1
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(document, version, strict=True)


def test_a_job_has_as_many_pods_as_shards() -> None:
    spec = yaml.safe_load(JOB.read_text())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert spec["completionMode"] == "Indexed"
    assert given["OCIHAUL_SHARDS"] == str(spec["completions"]) == str(spec["parallelism"])
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"] == {
        "containerName": container["name"],
        "operator": "In",
        "values": [process.USAGE],
    }


@pytest.mark.slow
def test_the_pods_of_a_job_do_all_of_the_directory(tmp_path: Path) -> None:
    """What the container runs, with the variables that Kubernetes sets."""
    spec = yaml.safe_load(JOB.read_text())["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    src = make(tmp_path / "data", *(f"{number % 5}/{number}" for number in range(50)))
    args = [str(src) if each == "/data" else each for each in container["args"]]
    with world(tmp_path) as w:
        w.oci.put_object("backups", "data/gone", b"")
        told = []
        for index in range(spec["completions"]):
            environ = {"JOB_COMPLETION_INDEX": str(index), "INDEX": str(index)}
            for each in container["env"]:
                value = each.get("value", environ.get(each["name"]))
                environ[each["name"]] = value.replace("$(INDEX)", str(index))
            environ["OCIHAUL_STATE_DIR"] = f"{tmp_path}{environ['OCIHAUL_STATE_DIR']}"
            ran = w.run(*args, "--region", "us-ashburn-1", **environ)
            assert ran.code == 0, ran.err
            assert f"Shard {index}/8 by JOB_COMPLETION_INDEX and OCIHAUL_SHARDS" in ran.err
            told += json.loads(ran.out)["uploaded-objects"]
        assert len(told) == len(set(told)) == 50
        names = [f"data/{path.relative_to(src)}" for path in src.rglob("*") if path.is_file()]
        assert w.oci.object_names("backups") == sorted(names)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with `ocihaul`, `srun` and `scontrol`, the last of which tells what it got."""
    path = tmp_path / "bin"
    path.mkdir()
    for name, text in {
        "ocihaul": f'exec {sys.executable} -m ocihaul "$@" --region us-ashburn-1 --session-wait 0',
        "srun": '[ "$1" = --ntasks=1 ] && shift && exec "$@"',
        "scontrol": 'echo "scontrol $*"',
    }.items():
        (path / name).write_text(f"#!/bin/sh\n{text}\n")
        (path / name).chmod(0o755)
    return path


def task(w: World, programs: Path, index: int, **more: str) -> "subprocess.CompletedProcess[str]":
    """One task of the array, as Slurm starts it."""
    environ = w.environ() | {"SRC": str(w.home / "src"), "BUCKET": "backups", "PREFIX": "p/"}
    environ |= {"SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(index)}
    environ |= {"SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "0"}
    environ |= {"PATH": f"{programs}:{environ['PATH']}"} | more
    script = DEPLOY / "slurm" / "array.sbatch"
    return subprocess.run(
        ["bash", str(script)], env=environ, capture_output=True, text=True, check=False
    )


def test_an_array_has_as_many_tasks_as_shards() -> None:
    text = (DEPLOY / "slurm" / "array.sbatch").read_text()
    assert re.findall(r"^#SBATCH --array=0-(\d+)$", text, re.MULTILINE) == ["7"]
    assert re.findall(r"^export OCIHAUL_SHARDS=(\d+)$", text, re.MULTILINE) == ["8"]


@pytest.mark.slow
def test_the_tasks_of_an_array_do_all_of_the_directory(tmp_path: Path, programs: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *(f"{number % 5}/{number}" for number in range(50)))
        for index in range(8):
            # One is run again alone: then Slurm counts one task.
            alone = {"SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "3"}
            ran = task(w, programs, index, **(alone if index == 3 else {}))
            assert ran.returncode == 0, ran.stderr
            assert f"Shard {index}/8 by SLURM_ARRAY_TASK_ID" in ran.stderr
            state = tmp_path / ".local" / "state" / "ocihaul-shards" / str(index)
            assert (state / "journal.sqlite3").exists()
        names = [f"p/{path.relative_to(src)}" for path in src.rglob("*") if path.is_file()]
        assert w.oci.object_names("backups") == sorted(names)


@pytest.mark.slow
def test_a_task_that_may_try_again_is_queued_again(tmp_path: Path, programs: Path) -> None:
    with world(tmp_path) as w:
        make(tmp_path / "src", *map(str, range(50)))
        w.end_sessions()
        ran = task(w, programs, 2)
        assert (ran.returncode, ran.stdout) == (75, "scontrol requeue 77_2\n")
        ran = task(w, programs, 2, SLURM_RESTART_COUNT="5")
        assert (ran.returncode, ran.stdout) == (75, "")
        ran = task(w, programs, 2, SRC="")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "the directory" in ran.stderr


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
def test_finding_d14_the_units_of_a_backup_are_some(tmp_path: Path, kind: str) -> None:
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
def test_finding_d14_each_way_to_run_a_backup_names_its_zone_and_the_script(
    file: str, words: list[str]
) -> None:
    text = (DEPLOY / file).read_text()
    for word in words:
        assert word in text
    assert "nightly-backup.sh" in text or file.endswith(".timer")
