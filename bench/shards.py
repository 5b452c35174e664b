"""What every shard of a directory repeats: the walk, the list, and a hash for each name.

    python -m bench.shards [FILES]

A `sync` with nothing to send, whole and as one of N shards, against an emulator in a process of its
own. What it prints is the time and the requests of one shard; docs/shards.md has the figures.
"""

import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from ocihaul.client import Client
from ocihaul.directories.listing import Kind, walk
from ocihaul.directories.shards import Shard
from ocihaul.emulator import Emulator

COUNTS = (1, 4, 16, 64)
ROUNDS = 3
_OLD = 1_700_000_000


def serve(home: str, names: list[str], line: Connection) -> None:
    """An emulator with these objects, until the line says so; it answers how many pages it gave."""
    with Emulator() as oci:
        for name in names:
            oci.put_object("backups", name, b"x")
        line.send((str(oci.write_profile(Path(home), session=oci.login())), oci.endpoint))
        while line.recv():
            line.send(oci.log.count(operation="ListObjects"))


def plant(root: Path, files: int) -> list[str]:
    """Files of one byte, a hundred in each directory; returns their paths."""
    names = [f"{number // 100:05}/{number:07}.jpg" for number in range(files)]
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (_OLD, _OLD))
    return names


def walked(root: Path, shard: Shard) -> float:
    """Seconds of a walk by one shard."""
    began = time.perf_counter()
    found = walk(str(root), wanted=None if shard.is_whole else shard.holds)
    if not any(each.kind is not Kind.ELSEWHERE for each in found):
        raise RuntimeError(f"shard {shard} has no file: take more files")
    for _ in found:
        pass
    return time.perf_counter() - began


def hashed(names: list[str]) -> float:
    """Microseconds for the hash of one name."""
    raw, shard = [name.encode() for name in names], Shard(0, 4)
    began = time.perf_counter()
    for name in raw:
        shard.holds(name)
    return (time.perf_counter() - began) / len(raw) * 1e6


def measure(files: int) -> None:
    """Print a table."""
    with TemporaryDirectory() as scratch:
        root, home = Path(scratch) / "files", Path(scratch) / "home"
        names = plant(root, files)
        os.environ["OCIHAUL_STATE_DIR"] = str(Path(scratch) / "state")
        ours, theirs = multiprocessing.Pipe()
        service = multiprocessing.Process(target=serve, args=(str(home), names, theirs))
        service.start()
        config, endpoint = ours.recv()
        print(f"{files} files; hash of a name: {hashed(names):.2f} µs; best of {ROUNDS}")
        print(f"{'shard':>6} {'walk s':>8} {'sync s':>8} {'--delete s':>10} {'pages':>6}")
        with Client.from_profile(
            config_file=config, endpoint=endpoint, auth_endpoint=endpoint, auth="security_token"
        ) as client:
            for count in COUNTS:
                shard = Shard(0, count)
                walk_s = min(walked(root, shard) for _ in range(ROUNDS))
                times = {False: 9e9, True: 9e9}
                for delete in (False, True) * ROUNDS:
                    ours.send("pages")
                    before = ours.recv()
                    began = time.perf_counter()
                    result = client.upload_directory(
                        root, "backups", namespace="ns1", shard=str(shard), delete=delete
                    )
                    times[delete] = min(times[delete], time.perf_counter() - began)
                    if not result.good or result.transferred:
                        raise RuntimeError(f"there was something to send: {result}")
                ours.send("pages")
                pages = ours.recv() - before
                print(
                    f"{shard!s:>6} {walk_s:8.2f} {times[False]:8.2f} {times[True]:10.2f} {pages:6}"
                )
        ours.send("")
        service.join()


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
