"""`make bench-scale`: one object and many files by 1 to 8 workers, deaths, and what it costs.

    python -m bench.scale.run [--size MiB] [--files N] [--rounds N] [--only WORDS] [--dry]

Real `dask scheduler` and `dask worker` processes with TLS, all on this machine; the service is the
emulator. Results go to bench/results/scale.json and into docs/performance.md.
"""

import argparse
import hashlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.scale.ground import MIB, Service, a_file, cpu_of, service, small_files, timed
from bench.scale.model import Constants, Transfer, simulate
from ocihaul.client import Client
from ocihaul.integrations.dask import share
from ocihaul.transfer.upload.request import IfExists
from tests.functional.dask_cluster import Cluster, cluster
from tests.functional.test_dask import calls_for, everywhere

RESULTS = Path(__file__).parents[1] / "results" / "scale.json"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- begin: make bench-scale -->", "<!-- end: make bench-scale -->"

#: 20 Mbit/s, bytes a second.
RATE = 2_500_000
PART = 8 * MIB
COUNTS = (1, 2, 4, 8)
DELAY = 0.08
FILE = 16 * 1024

Samples = dict[str, list[float]]


@contextmanager
def place(**settings: Any) -> Iterator[tuple[Path, Service]]:
    """A directory and a service."""
    with TemporaryDirectory(prefix="ocihaul-scale-") as scratch:
        home = Path(scratch)
        os.environ["OCIHAUL_STATE_DIR"] = str(home / "state")
        (home / "cluster").mkdir()
        with service(home, **settings) as oci:
            yield home, oci


def grow(dask: Cluster, count: int) -> None:
    """Have so many workers."""
    for number in range(len(dask.processes) - 1, count):
        dask.add_worker(f"w{number}")
    # All of them share these cores, so what they load must not count.
    dask.client.run(importlib.import_module, "ocihaul.cluster.executor")


def one_object(options: argparse.Namespace) -> Samples:
    """Seconds of one upload, by workers; every object is compared."""
    samples: Samples = {}
    with place(connection_bandwidth=RATE, token_ttl=3600.0) as (home, oci):
        source = a_file(home / "object", options.size * MIB)
        digest = _sha256(source)
        for _ in range(options.rounds):
            with cluster(home / "cluster", 1, threads=1) as dask, oci.client() as client:
                for count in COUNTS:
                    grow(dask, count)
                    seconds, _ = timed(
                        lambda: client.upload(
                            source,
                            "backups",
                            f"by{count}",  # noqa: B023  called at once
                            namespace="ns1",
                            part_size=PART,
                            executor=dask.client,
                            existing=IfExists.REPLACE,
                        )
                    )
                    if oci.ask("digest", f"by{count}") != digest:
                        raise RuntimeError("the object is not the file")
                    samples.setdefault(str(count), []).append(seconds)
                    print(f"one object, {count} workers: {seconds:.1f} s", flush=True)
    return samples


def many_files(options: argparse.Namespace) -> Samples:
    """Seconds of a `sync` of small files, by workers."""
    samples: Samples = {}
    with place(token_ttl=3600.0) as (home, oci):
        root = small_files(home / "files", options.files, FILE)
        oci.ask("delay", "PutObject", DELAY)
        for number in range(options.rounds):
            with cluster(home / "cluster", 1, threads=2) as dask, oci.client() as client:
                for count in (1, 4):
                    grow(dask, count)
                    prefix = f"{number}/{count}/"
                    seconds, cpu = timed(
                        lambda: client.upload_directory(
                            root,
                            "backups",
                            prefix=prefix,  # noqa: B023  called at once
                            namespace="ns1",
                            executor=dask.client,
                        )
                    )
                    samples.setdefault(str(count), []).append(seconds)
                    samples.setdefault("driver ms per file", []).append(cpu * 1000 / options.files)
                    print(f"{options.files} files, {count} workers: {seconds:.1f} s", flush=True)
    return samples


def driver_cost(options: argparse.Namespace) -> Samples:
    """CPU milliseconds of the driver for a part, without a limit on the line; and for none."""
    samples: Samples = {}
    with place(token_ttl=3600.0, discard=True) as (home, oci):
        many, few = options.cost_parts, 8
        source = a_file(home / "object", many * MIB)
        for _ in range(options.rounds):
            with cluster(home / "cluster", 2, threads=2) as dask, oci.client() as client:
                grow(dask, 2)
                told, tasks = {}, {}
                scheduler = dask.processes["scheduler"].pid
                for parts in (few, many):
                    before = cpu_of(scheduler)
                    size = -(-many * MIB // parts)
                    told[parts] = timed(lambda: _sent(client, source, dask, size))  # noqa: B023  at once
                    tasks[parts] = cpu_of(scheduler) - before
                task = (tasks[many] - tasks[few]) * 1000 / (many - few)
                samples.setdefault("scheduler ms per task", []).append(task)
                cost = (told[many][1] - told[few][1]) * 1000 / (many - few)
                wall = (told[many][0] - told[few][0]) * 1000 / (many - few)
                samples.setdefault("CPU ms per part", []).append(cost)
                samples.setdefault("wall ms per part", []).append(wall)
                text = f"{cost:.2f} ms of CPU for a part, {wall:.2f} ms in all"
                print(f"driver: {text}; scheduler: {task:.2f} ms", flush=True)
    return samples


def renewals(options: argparse.Namespace) -> Samples:
    """Renewals in ten lives of a token, while 8 workers with 8 threads each call the service."""
    life, lives = options.life, 10
    with place(token_ttl=life, integer_claims=False) as (home, oci):
        with cluster(home / "cluster", 8, threads=8) as dask:
            # The login is as old as the cluster's start: a new one.
            oci.ask("login", str(home / "oci"))
            oci.ask("clear")
            with oci.client() as client:
                session = client.session
                if session is None:
                    raise RuntimeError("there is no session")
                with share(dask.client, session) as shared:
                    futures = everywhere(
                        dask, calls_for, shared, oci.endpoint, lives * life, each=8
                    )
                    told = dask.client.gather(futures)
                    generation = session.status().generation
        refreshed, _ = oci.ask("good", "RefreshToken")
        answer = {
            "renewals": [float(refreshed)],
            "generation": [float(generation)],
            "calls": [float(sum(count for count, _ in told))],
            "401s": [float(oci.ask("failed"))],
        }
    print(f"renewals: {refreshed} in {lives} lives, {answer['401s'][0]:.0f} 401s", flush=True)
    return answer


def deaths(options: argparse.Namespace) -> Samples:
    """One object while a worker is killed every 5 s, the driver and the scheduler once each."""
    with place(connection_bandwidth=RATE, token_ttl=3600.0) as (home, oci):
        source = a_file(home / "object", options.death_size * MIB)
        parts = -(-options.death_size * MIB // PART)
        code, runs, killed = -1, 0, 0
        for victim in ("driver", "scheduler", None):
            with cluster(home / "cluster", 4, threads=1) as dask:
                driver = _command(home, oci, source, dask)
                killed += _kill_workers(dask, driver, options.death_after if victim else 1e9)
                if victim == "driver":
                    driver.kill()
                elif victim == "scheduler":
                    dask.kill("scheduler")
                code, runs = driver.wait(), runs + 1
            print(f"deaths: of the {victim}: status {code}", flush=True)
            if code == 0:
                break
        if code or oci.ask("digest", source.name) != _sha256(source):
            raise RuntimeError(f"the object is not the file: {(home / 'driver.log').read_text()}")
        good, body = oci.ask("good", "UploadPart")
    in_flight = killed + 2 * 4  # a worker has one, and four of them when driver or scheduler go
    print(f"deaths: {killed} workers; {good - parts} of {parts} parts twice", flush=True)
    return {
        "workers killed": [float(killed)],
        "runs": [float(runs)],
        "parts": [float(parts)],
        "in flight": [float(in_flight)],
        "parts sent twice": [float(good - parts)],
        "bytes sent, times the object": [body / (options.death_size * MIB)],
    }


def _kill_workers(dask: Cluster, driver: "subprocess.Popen[bytes]", seconds: float) -> int:
    """Kill one every 5 s and start another, until the time is over or the driver has ended."""
    until, killed = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        try:
            driver.wait(min(5.0, max(until - time.monotonic(), 0.1)))
        except subprocess.TimeoutExpired:
            name = f"w{killed % 4}"
            dask.kill(name)
            dask.start_worker(name)
            killed += 1
        else:
            break
    return killed


def _command(home: Path, oci: Service, source: Path, dask: Cluster) -> "subprocess.Popen[bytes]":
    words = [
        *(sys.executable, "-m", "ocihaul", "os", "object", "put", "-bn", "backups"),
        *("--namespace", "ns1", "--file", str(source), "--force", "--part-size", f"{PART}B"),
        *("--auth", "security_token", "--config-file", oci.config, "--endpoint", oci.endpoint),
        *("--auth-endpoint", oci.endpoint, "--dask", str(dask.directory / "scheduler.json")),
        *("--dask-tls-ca-file", dask.tls["ca-file"], "--dask-tls-cert", dask.tls["cert"]),
        *("--dask-tls-key", dask.tls["key"]),
    ]
    with (home / "driver.log").open("ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def calibration(options: argparse.Namespace) -> Samples:
    """What the model has to know of one worker: seconds beside all parts, and for each of them."""
    samples: Samples = {}
    with place(connection_bandwidth=RATE, token_ttl=3600.0) as (home, oci):
        few, many = 2, 10
        sources = {n: a_file(home / f"of{n}", n * PART) for n in (few, many)}
        for _ in range(options.rounds):
            with cluster(home / "cluster", 1, threads=1) as dask, oci.client() as client:
                grow(dask, 1)
                told = {}
                for parts, source in sources.items():
                    told[parts], _ = timed(lambda: _sent(client, source, dask))  # noqa: B023  at once
                each = (told[many] - told[few]) / (many - few)
                samples.setdefault("per part", []).append(each - PART / RATE)
                samples.setdefault("start", []).append(told[few] - few * each)
                print(f"one worker: {samples['start'][-1]:.2f} s, and {each:.3f} s a part")
    return samples


def _sent(client: Client, source: Path, dask: Cluster, part_size: int = PART) -> None:
    client.upload(
        source,
        "backups",
        namespace="ns1",
        part_size=part_size,
        executor=dask.client,
        existing=IfExists.REPLACE,
    )


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Samples]] = {
    "calibration": calibration,
    "cost": driver_cost,
    "object": one_object,
    "files": many_files,
    "renewals": renewals,
    "deaths": deaths,
}


# What is written


def table(found: dict[str, Any]) -> list[str]:
    """The page's lines."""
    told, options = found["samples"], found["options"]
    load = f"load {found['load']:.1f} when it began"
    lines = [
        f"Measured on {found['machine']}; {load}. Median of {options['rounds']} (least-most).",
        "",
        "| figure | to reach | measured | predicted |",
        "|---|---|---|---|",
    ]
    for name, rows in ROWS.items():
        if name in told:
            lines += rows(found, told[name])
    return lines


def object_rows(found: dict[str, Any], told: Samples) -> Iterator[str]:
    """One object: the gain, and the seconds beside the model's."""
    size = found["options"]["size"]
    predicted = {count: simulate(transfer(found, count)).seconds for count in COUNTS}
    for count in COUNTS[1:]:
        ratios = [one / each for one, each in zip(told["1"], told[str(count)], strict=True)]
        what = f"one object of {size} MiB, {count} workers at 20 Mbit/s against 1"
        gain = predicted[1] / predicted[count]
        yield f"| {what} | {0.9 * count:.1f} x | {_spread(ratios, 2)} x | {gain:.2f} x |"
    for count in COUNTS:
        times, seconds = told[str(count)], predicted[count]
        off = f"{seconds / statistics.median(times) - 1:+.1%}"
        yield f"| seconds with {count} | | {_spread(times)} | {seconds:.1f} ({off}) |"


def files_rows(found: dict[str, Any], told: Samples) -> Iterator[str]:
    """Many files: the gain."""
    ratios = [one / four for one, four in zip(told["1"], told["4"], strict=True)]
    what = f"{found['options']['files']} files of 16 KiB at 80 ms, 4 workers against 1"
    yield f"| {what} | 3.2 x | {_spread(ratios, 2)} x | |"
    yield f"| seconds with 1, with 4 | | {_spread(told['1'])}, {_spread(told['4'])} | |"
    yield f"| driver's CPU for a file | | {_spread(told['driver ms per file'], 2)} ms | |"


def renewal_rows(found: dict[str, Any], told: Samples) -> Iterator[str]:  # noqa: ARG001  as the others
    """Renewals in ten lives."""
    of = {name: values[0] for name, values in told.items()}
    measured = f"{of['renewals']:.0f}; {of['401s']:.0f} times 401 in {of['calls']:.0f} calls"
    what = "renewals in 10 token lives, 8 workers x 8 threads"
    yield f"| {what} | 20: two for each life, at its half | {measured} | |"


def death_rows(found: dict[str, Any], told: Samples) -> Iterator[str]:  # noqa: ARG001  as the others
    """What deaths cost."""
    of = {name: values[0] for name, values in told.items()}
    twice = f"{of['parts sent twice']:.0f} of {of['parts']:.0f} parts twice"
    what = "kill -9 of a worker every 5 s, of the scheduler once, of the driver once"
    aim = f"identical; twice at most {of['in flight']:.0f}, those in flight"
    yield f"| {what} | {aim} | identical; {of['workers killed']:.0f} workers killed, {twice} | |"


def cost_rows(found: dict[str, Any], told: Samples) -> Iterator[str]:  # noqa: ARG001  as the others
    """What a part costs the driver."""
    cpu, wall = _spread(told["CPU ms per part"], 2), _spread(told["wall ms per part"], 2)
    yield f"| driver's cost of a part | | {cpu} ms of CPU, {wall} ms in all | |"
    task = _spread(told["scheduler ms per task"], 2)
    yield f"| scheduler's cost of a task | | {task} ms of CPU | |"


ROWS: dict[str, Callable[[dict[str, Any], Samples], Iterator[str]]] = {
    "object": object_rows,
    "files": files_rows,
    "renewals": renewal_rows,
    "deaths": death_rows,
    "cost": cost_rows,
}


def transfer(found: dict[str, Any], count: int) -> Transfer:
    """The transfer that was measured, for the model."""
    size = found["options"]["size"] * MIB
    return Transfer(size=size, part_size=PART, workers=count, threads=1, constants=constants(found))


def constants(found: dict[str, Any]) -> Constants:
    """The model's: the driver's cost as it was measured, and what the runs of one worker tell.

    Of a run with two parts and one with ten the difference is what eight parts take; what is left
    of it is the start.
    """
    told = found["samples"]
    of = told.get("cost", {"CPU ms per part": [2.0], "scheduler ms per task": [1.0]})
    calibration = told.get("calibration", {"start": [0.5], "per part": [0.02]})
    return Constants(
        driver_per_part=statistics.median(of["CPU ms per part"]) / 1000,
        scheduler_per_task=statistics.median(of["scheduler ms per task"]) / 1000,
        start=statistics.median(calibration["start"]),
        per_part=statistics.median(calibration["per part"]),
        worker_rate=RATE,
    )


def _spread(values: list[float], digits: int = 1) -> str:
    middle = statistics.median(values)
    if len(values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def write(lines: list[str]) -> None:
    """Replace the page's part between the marks."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n".join(["", *lines, ""])
    PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure, print, and write unless that is not wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="of the object, MiB")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--cost-parts", type=int, default=400)
    parser.add_argument("--life", type=float, default=6.0, help="of a token, seconds")
    parser.add_argument("--death-size", type=int, default=256, help="MiB")
    parser.add_argument("--death-after", type=float, default=8.0, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    parser.add_argument("--dry", action="store_true", help="write nothing")
    parser.add_argument("--keep", action="store_true", help="the other figures of the last run")
    options = parser.parse_args()
    found: dict[str, Any] = {
        "machine": f"{os.cpu_count()} shared cores",
        "load": os.getloadavg()[0],
        "options": {
            name: value for name, value in vars(options).items() if name not in {"dry", "keep"}
        },
        "samples": {},
    }
    if options.keep:
        last = json.loads(RESULTS.read_text(encoding="utf-8"))
        found["samples"] = last["samples"]
        found["options"]["size"] = last["options"]["size"]
    for name in options.only:
        found["samples"][name] = MEASUREMENTS[name](options)
    lines = table(found)
    print("\n".join(lines))
    if not options.dry:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        write(lines)


if __name__ == "__main__":
    main()
