"""What deploy/ starts for Dask, run here: the containers' commands, and the program for Slurm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.functional.dask_cluster import certificates
from tests.functional.directories import make
from tests.world import World, world

DEPLOY = Path(__file__).parents[2] / "deploy"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def containers(file: Path) -> dict[str, dict[str, Any]]:
    """Those of a manifest by their names."""
    found: dict[str, dict[str, Any]] = {}
    for document in yaml.safe_load_all(file.read_text()):
        pod = document["spec"].get("template", {}).get("spec", {})
        found |= {each["name"]: each for each in pod.get("containers", ())}
    return found


class Node:
    """Where the containers' paths and names lead here."""

    def __init__(self, tmp_path: Path, w: World) -> None:
        tls = certificates(tmp_path)
        self.places = {
            "/tls/ca.crt": tls["ca-file"],
            "/tls/tls.crt": tls["cert"],
            "/tls/tls.key": tls["key"],
            "tls://ocihaul-dask:8786": "",  # known once the scheduler is there
            "/data": str(tmp_path / "data"),
            "/state": str(tmp_path / "state"),
            "/tmp/state": str(tmp_path / "worker-state"),  # noqa: S108  the container's
            "/tmp": str(tmp_path / "scratch"),  # noqa: S108  the container's
            "$(POD)": "pod-0",
        }
        self.environ = w.environ() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.home = tmp_path

    def here(self, text: str) -> str:
        """The same text with this machine's places."""
        for there, ours in self.places.items():
            if text == there or text.endswith(f"={there}"):
                return text[: len(text) - len(there)] + ours
        return text

    def start(self, container: dict[str, Any], *more: str) -> "subprocess.Popen[bytes]":
        """Run what the container runs."""
        words = [self.here(each) for each in (*container["command"], *container["args"])]
        extra = {
            each["name"]: self.here(each["value"])
            for each in container.get("env", ())
            if "value" in each
        }
        with (self.home / f"{container['name']}.log").open("wb") as log:
            return subprocess.Popen(
                [*words, *more], env=self.environ | extra, stdout=log, stderr=log
            )


@contextmanager
def ended(*processes: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kill them at the end."""
    try:
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait()


def test_what_the_manifest_starts_syncs_a_directory(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        names = [f"{number:03}" for number in range(150)]
        make(tmp_path / "data", *names)
        w.oci.put_object("backups", "data/gone", b"")
        node, of = Node(tmp_path, w), containers(DEPLOY / "kubernetes" / "dask.yaml")
        file = tmp_path / "scheduler.json"
        local = ("--host", "127.0.0.1")
        scheduler = node.start(
            of["scheduler"], *local, "--port", "0", "--scheduler-file", str(file)
        )
        with ended(scheduler):
            until = time.monotonic() + 60
            while not (file.exists() and file.read_text().endswith("}")):
                assert time.monotonic() < until, (tmp_path / "scheduler.log").read_text()
                time.sleep(0.05)  # it writes the file and tells nobody
            node.places["tls://ocihaul-dask:8786"] = yaml.safe_load(file.read_text())["address"]
            worker = node.start(of["worker"], *local)
            with ended(worker):
                driver = node.start(of["driver"], "--namespace", "ns1")
                with ended(driver):
                    code = driver.wait(90)
        assert code == 0, (tmp_path / "driver.log").read_text()
        assert w.oci.object_names("backups") == [f"data/{name}" for name in names]
        assert b"ocihaul-transfer" in (tmp_path / "worker.log").read_bytes(), "the worker did it"


SBATCH = """#!/bin/bash
cp "$1" "$1.job"
setsid bash "$1.job" > "$JOBS/log" 2>&1 < /dev/null &
echo $! > "$JOBS/$!"
echo "Submitted batch job $!"
"""


def test_the_program_for_slurm_syncs_a_directory(tmp_path: Path) -> None:
    """With the real dask-jobqueue, and an `sbatch` that runs the job at once."""
    bin_, jobs = tmp_path / "bin", tmp_path / "jobs"
    for each in (bin_, jobs):
        each.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/bash\nkill -- "-$1"\n')):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    with world(tmp_path) as w:
        names = [f"{number:03}" for number in range(150)]
        src = make(tmp_path / "src", *names)
        w.oci.put_object("backups", "p/gone", b"")
        try:
            done = subprocess.run(
                [
                    *(sys.executable, str(DEPLOY / "slurm" / "dask_sync.py"), str(src), "backups"),
                    *("p/", "--workers", "2", "--interface", "lo", "--shared", str(tmp_path)),
                ],
                env=w.environ()
                | {
                    "PATH": f"{bin_}:{os.environ['PATH']}",
                    "JOBS": str(jobs),
                    "OCI_CLI_REGION": "us-ashburn-1",
                },
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            for job in jobs.glob("[0-9]*"):
                try:
                    os.killpg(int(job.name), signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it was cancelled
        assert done.returncode == 0, done.stderr + (jobs / "log").read_text()
        assert done.stdout == "150 sent, 0 unchanged, 1 deleted\n"
        assert w.oci.object_names("backups") == [f"p/{name}" for name in names]
        assert len(list(jobs.glob("[0-9]*"))) == 2
        assert not list(tmp_path.glob(".ocihaul-dask-*")), "the keys are gone"
        for secret in w.secrets():
            assert secret not in done.stdout + done.stderr + (jobs / "log").read_text()
