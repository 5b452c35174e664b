"""ocifs, pandas and Dask dataframes on the workers of a cluster, by one shared session."""

import os
import subprocess

import pytest

from ocihaul.emulator.faults import Fault

from .conftest import Official
from .programs import assert_no_secret, with_ocihaul

# The session first: a token may live for less time than the imports of the others take.
BEGIN = """
import sys, time
import ocihaul
session = ocihaul.Session.from_profile().start()
import dask.dataframe, distributed, pandas
from ocihaul.integrations import dask as ocihaul_dask

endpoint = sys.argv[1]
local = distributed.LocalCluster(
    n_workers=2, threads_per_worker=2, dashboard_address=None,
    protocol="tls://", security=distributed.Security.temporary())
cluster = distributed.Client(local)
shared = ocihaul_dask.share(cluster, session)
storage = {"config": {}, "signer": shared.signer(),
    "config_kwargs": {"service_endpoint": endpoint}}
frame = pandas.DataFrame({"n": range(90_000), "word": [f"word {n % 7}" for n in range(90_000)]})
"""

END = """
shared.close(); cluster.close(); local.close(); session.close()
print(session.status().generation)
"""

FRAME = """
given = dask.dataframe.from_pandas(frame, npartitions=4)
given.to_parquet("oci://backups@ns1/table", storage_options=storage)
read = dask.dataframe.read_parquet("oci://backups@ns1/table", storage_options=storage)
pandas.testing.assert_frame_equal(frame, read.compute(), check_dtype=False)
print(len(read), set(cluster.gather(cluster.map(lambda _: "word", range(3)))))
"""

FRAMES = """
given = dask.dataframe.from_pandas(frame, npartitions=4)
until, rounds = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until or rounds < 2:
    where = f"oci://backups@ns1/table{rounds}"
    given.to_parquet(where, storage_options=storage)
    read = dask.dataframe.read_parquet(where, storage_options=storage)
    pandas.testing.assert_frame_equal(frame, read.compute(), check_dtype=False)
    read.groupby("word").n.sum().to_frame().to_csv(
        f"oci://backups@ns1/sums{rounds}-*.csv", storage_options=storage)
    rounds += 1
secrets = {session.credential().token.raw}
seen = cluster.run_on_scheduler(lambda dask_scheduler: repr(
    [(key, each.run_spec) for key, each in dask_scheduler.tasks.items()]))
seen += repr(cluster.get_events()) + repr(cluster.get_worker_logs())
assert len(seen) > 10_000 and not any(secret in seen for secret in secrets)
print(rounds)
"""

TASKS = """
import oci

def by_sdk(shared, number):
    client = oci.object_storage.ObjectStorageClient(
        {}, signer=shared.signer(), service_endpoint=endpoint)
    client.put_object("ns1", "backups", f"sdk{number}", b"by the SDK")
    return client.get_namespace().data

def by_ocifs(storage, number):
    import ocifs
    files = ocifs.OCIFileSystem(**storage)
    with files.open(f"oci://backups@ns1/fs{number}", "wb") as file:
        file.write(b"by ocifs")
    return files.cat(f"oci://backups@ns1/fs{number}")

def by_pandas(storage, number):
    frame.to_csv(f"oci://backups@ns1/csv{number}", storage_options=storage, index=False)
    return len(pandas.read_csv(f"oci://backups@ns1/csv{number}", storage_options=storage))

until, rounds = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until or rounds < 2:
    futures = [cluster.submit(by_sdk, shared, n, pure=False) for n in range(4)]
    futures += [cluster.submit(by_ocifs, storage, n, pure=False) for n in range(4)]
    futures += [cluster.submit(by_pandas, storage, n, pure=False) for n in range(2)]
    assert set(cluster.gather(futures)) == {"ns1", b"by ocifs", 90_000}
    rounds += 1
"""


def ran(official: Official, code: str, *arguments: str) -> list[str]:
    program = with_ocihaul(official)
    done = subprocess.run(
        [
            *(str(program.venv / "bin" / "python"), "-c", BEGIN + code + END),
            *(official.oci.endpoint, *arguments),
        ],
        env={
            "HOME": str(program.home),
            "PATH": os.environ["PATH"],
            "PYTHONWARNINGS": "ignore",
            **program.environment,
        },
        cwd=program.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=200,
    )
    assert_no_secret(official, done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split()


def test_a_dataframe_is_written_and_read_by_workers_through_401s(official: Official) -> None:
    for operation in ("PutObject", "GetObject"):
        official.oci.faults.add(Fault(operation=operation, status=401, code="NotAuthenticated"))
    assert ran(official, FRAME)[:1] == ["90000"]
    official.oci.faults.assert_all_fired()
    assert official.oci.auth.refreshes == 2


@pytest.mark.timeout(240)
def test_dataframes_outlive_ten_tokens_on_workers(official: Official) -> None:
    """Parquet written and read by four partitions on two workers, and sums as CSV, again and again.

    No token is in a graph, an event or a worker's log; nor in what the program says (see `ran`).
    """
    life = 5.0
    official.oci.configure(token_ttl=life, integer_claims=False)
    official.log_in()
    rounds, generation = ran(official, FRAMES, str(10 * life))
    names = official.oci.object_names("backups")
    assert len([name for name in names if name.endswith(".parquet")]) == 4 * int(rounds)
    assert len([name for name in names if name.startswith("sums")]) == int(rounds)
    assert official.oci.auth.refreshes == int(generation) - 1
    assert int(generation) > 10


@pytest.mark.timeout(240)
def test_sdk_ocifs_and_pandas_outlive_ten_tokens_on_workers(official: Official) -> None:
    life = 5.0
    official.oci.configure(token_ttl=life, integer_claims=False)
    official.log_in()
    (generation,) = ran(official, TASKS, str(10 * life))
    assert official.oci.auth.refreshes == int(generation) - 1
    assert int(generation) > 10
