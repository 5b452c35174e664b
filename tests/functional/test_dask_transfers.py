"""Directories and single objects by the workers of a cluster: real processes, TLS, and what breaks."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from ocihaul.client import Client
from ocihaul.emulator import Fault
from ocihaul.errors import NetworkError, SourceError, UsageError
from ocihaul.events import Notice
from tests.functional.dask_cluster import Cluster, cluster
from tests.functional.directories import command, content, make
from tests.world import MIB, Ran, World, world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PARTS = 16


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three workers with two threads each."""
    with cluster(tmp_path_factory.mktemp("dask"), 3, threads=2) as made:
        yield made


@pytest.fixture
def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(tmp_path / "state"))
    with world(tmp_path) as made:
        yield made


def by_dask(dask: Cluster) -> tuple[str, ...]:
    return (
        *("--dask", str(dask.directory / "scheduler.json")),
        *("--dask-tls-ca-file", dask.tls["ca-file"]),
        *("--dask-tls-cert", dask.tls["cert"], "--dask-tls-key", dask.tls["key"]),
    )


def put(source: Path, *more: str) -> tuple[str, ...]:
    parts = ("--part-size", "1048576B", "--force")
    return command("put", "--file", str(source), "--name", source.name, *parts, *more)


def notices(w: World) -> list[str]:
    return [event.text for event in w.heard.events if isinstance(event, Notice)]


# What it is for


def test_an_object_goes_up_and_comes_down_by_workers(dask: Cluster, w: World) -> None:
    source = w.file(PARTS * MIB + 4321)
    up = w.run(*put(source, *by_dask(dask)))
    assert up.code == 0, up.err
    assert w.arrived_whole(source)
    assert w.oci.log.count(operation="UploadPart") == PARTS + 1
    assert w.part_bytes_received() == source.stat().st_size
    target = w.home / "back.tar"
    down = w.run(
        *command("get", "--name", source.name, "--file", str(target), "--part-size", "1048576B"),
        *by_dask(dask),
    )
    assert down.code == 0, down.err
    assert target.read_bytes() == source.read_bytes()
    assert w.object_bytes_sent() == source.stat().st_size
    assert not list(w.home.glob(".*.ocihaul*"))


def test_a_directory_goes_up_and_comes_down_by_workers(dask: Cluster, w: World) -> None:
    names = [f"{number % 7}/{number:04}" for number in range(500)]
    src, back = make(w.home / "src", *names), w.home / "back"
    large = w.file(5 * MIB, "src/large.bin")
    os.utime(large, (1, 1))
    (src / "empty").mkdir()
    w.oci.put_object("backups", "gone", b"")
    place = ("--delete", "--part-size", "1048576B", *by_dask(dask))
    up = w.run(*command("sync", "--src-dir", str(src), *place))
    assert up.code == 0, up.err
    assert w.oci.object_names("backups") == sorted([*names, "large.bin", "empty/"])
    assert w.oci.log.count(operation="PutObject") == len(names) + 1
    assert w.oci.log.count(operation="UploadPart") == 5
    again = w.run(*command("sync", "--src-dir", str(src), *place))
    assert again.code == 0
    assert w.oci.log.count(operation="PutObject") == len(names) + 1
    down = w.run(*command("sync", "--dest-dir", str(back), *place))
    assert down.code == 0, down.err
    assert content(back) == content(src)


def test_dask_is_imported_for_dask_only(w: World) -> None:
    source = w.file(2 * MIB)
    code = (
        "import sys; from ocihaul.cli import app; code = app.run(sys.argv[1:]);"
        "print(sorted(name for name in ('dask', 'distributed', 'tornado') if name in sys.modules));"
        "sys.exit(code)"
    )
    ran = w.finish(w.start_python("-c", code, *put(source)))
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == "[]"
