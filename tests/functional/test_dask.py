"""One session for the workers of a Dask cluster: a real scheduler, real workers, TLS."""

import pickle
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import pytest

from ocihaul.client import Client
from ocihaul.emulator import Fault
from ocihaul.errors import SessionError, SessionExpiredError, UsageError
from ocihaul.events import SessionPaused, SessionResumed
from ocihaul.integrations.dask import SharedSession, share
from ocihaul.integrations.dask.messages import answer
from ocihaul.session.session import Session
from tests.functional.dask_cluster import Cluster, cluster
from tests.functional.directories import make
from tests.world import World, world

WORKERS, THREADS = 8, 8

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("dask"), WORKERS) as made:
        yield made


def opened(w: World) -> Session:
    return Session.from_settings(w.settings(), listener=w.heard, stop=w.stop)


# What runs on workers


def calls_for(shared: SharedSession, endpoint: str, seconds: float) -> tuple[int, set[int]]:
    """Call the service every now and then; how often, and by which generations."""
    generations, count = set(), 0
    until, pause = time.monotonic() + seconds, threading.Event()
    with Client.from_credentials(shared, endpoint=endpoint) as client:
        while time.monotonic() < until:
            client.storage.get_namespace()
            generations.add(shared.credential().generation)
            count += 1
            pause.wait(0.05)
    return count, generations


def calls(shared: SharedSession, endpoint: str, times: int) -> int:
    with Client.from_credentials(shared, endpoint=endpoint) as client:
        for _ in range(times):
            client.storage.get_namespace()
    return shared.credential().generation


def upload(shared: SharedSession, endpoint: str, path: str, name: str) -> int:
    with Client.from_credentials(shared, endpoint=endpoint) as client:
        return client.upload(path, "backups", name, namespace="ns1").size


def send_shard(shared: SharedSession, endpoint: str, root: str, shard: str) -> tuple[int, int]:
    with Client.from_credentials(shared, endpoint=endpoint) as client:
        done = client.upload_directory(
            root, "backups", namespace="ns1", shard=shard, delete=True, parallel=2
        )
    if not done.good:
        raise RuntimeError(dict(done.failures))
    return done.transferred, done.deleted


def everywhere(dask: Cluster, function: Any, *args: Any, each: int = 1) -> list[Any]:
    """Start it on every worker, `each` times; nothing is taken from one to another."""
    addresses = list(dask.client.scheduler_info(n_workers=-1)["workers"])
    return [
        dask.client.submit(function, *args, pure=False, workers=[address], retries=0)
        for address in addresses
        for _ in range(each)
    ]


# What is promised


def test_eight_workers_outlive_ten_tokens_by_one_renewal_each(
    dask: Cluster, tmp_path: Path
) -> None:
    life = 4.0
    with world(tmp_path, token_ttl=life, integer_claims=False) as w:
        with opened(w) as session, share(dask.client, session) as shared:
            began = time.monotonic()
            futures = everywhere(dask, calls_for, shared, w.oci.endpoint, 10 * life, each=THREADS)
            told = dask.client.gather(futures)
        lives = (time.monotonic() - began) / life
        status = session.status()  # it is closed: none is under way
        assert len(told) == WORKERS * THREADS
        assert w.refreshes() == status.generation - 1, "one renewal for each token"
        # At half of a life, a twentieth of it more or less: two for each life.
        assert 10 <= w.refreshes() <= lives * 2.3 + 1
        for count, generations in told:
            assert count > 10
            assert len(generations) >= 8, "each thread has seen most of the tokens"


def test_a_401_to_all_threads_at_once_is_one_renewal(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        endpoint = w.oci.endpoint
        assert set(dask.client.gather(everywhere(dask, calls, shared, endpoint, 1))) == {1}
        w.oci.revoke_all(refreshable=True)
        futures = everywhere(dask, calls, shared, endpoint, 20, each=THREADS)
        assert set(dask.client.gather(futures)) == {2}
        assert w.refreshes() == 1
        assert w.storage_calls_with_401() >= WORKERS
        assert session.status().generation == 2


def test_a_late_worker_gets_the_present_token(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        w.oci.revoke_all(refreshable=True)
        assert calls(shared, w.oci.endpoint, 1) == 2  # the owner itself
        late = dask.add_worker("late")
        try:
            future = dask.client.submit(
                calls, shared, w.oci.endpoint, 3, workers=[late], pure=False
            )
            assert future.result() == 2
            assert (w.refreshes(), w.storage_calls_with_401()) == (1, 1)
        finally:
            dask.kill("late")


def test_a_killed_worker_takes_no_session_along(dask: Cluster, tmp_path: Path) -> None:
    dask.add_worker("doomed")
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        futures = [
            dask.client.submit(calls_for, shared, w.oci.endpoint, 3.0, pure=False, retries=3)
            for _ in range(4 * (WORKERS + 1))
        ]
        w.oci.log.wait_for(lambda entry: entry.operation == "GetNamespace")
        dask.kill("doomed")
        w.oci.revoke_all(refreshable=True)
        told = dask.client.gather(futures)
        assert all(generations <= {1, 2} for _, generations in told)
        assert w.refreshes() == 1


def test_a_session_that_has_expired_is_told_to_every_task(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        w.end_sessions()
        for future in everywhere(dask, calls, shared, w.oci.endpoint, 1):
            error = future.exception()
            assert isinstance(error, SessionExpiredError), error
            assert error.resumable
        # A login mends it, for all of them.
        w.log_in()
        told = dask.client.gather(everywhere(dask, calls, shared, w.oci.endpoint, 1))
        assert set(told) == {2}


def test_one_login_mends_eight_workers_that_wait(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w:
        settings = w.settings(session_wait="60s")
        session = Session.from_settings(
            settings,
            listener=w.heard,
            stop=w.stop,
            session_wait=settings.session_options.session_wait,
        )
        with session, share(dask.client, session) as shared:
            endpoint = w.oci.endpoint
            assert set(dask.client.gather(everywhere(dask, calls, shared, endpoint, 1))) == {1}
            w.end_sessions()
            refreshes = w.refreshes()
            futures = everywhere(dask, calls, shared, endpoint, 5, each=2)
            w.oci.log.wait_for(lambda _: w.storage_calls_with_401() >= WORKERS)
            until = time.monotonic() + 60
            while not w.heard.of(SessionPaused):
                assert time.monotonic() < until, w.heard.events
                time.sleep(0.05)  # a recorder cannot be waited for
            assert not any(future.done() for future in futures)
            w.log_in()
            assert set(dask.client.gather(futures)) == {2}, "all go on, with that login"
            told = [type(event) for event in w.heard.events]
            assert told.count(SessionPaused) == told.count(SessionResumed) == 1
            assert w.refreshes() - refreshes <= 1, "whether the old one can be renewed"
            assert len(w.logins) == 2
            assert session.status().generation == 2


def test_uploads_run_on_workers_with_one_line(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        source = w.file(100_000)
        sizes = [
            dask.client.submit(upload, shared, w.oci.endpoint, str(source), f"copy{number}")
            for number in range(20)
        ]
        assert dask.client.gather(sizes) == [100_000] * 20
        assert len(w.oci.object_names("backups")) == 20


def test_a_directory_goes_by_shards_as_tasks_although_a_worker_is_killed(
    dask: Cluster, tmp_path: Path
) -> None:
    dask.add_worker("shaky")
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        names = [f"{number % 9}/{number:04}" for number in range(600)]
        src = make(tmp_path / "src", *names)
        w.oci.put_object("backups", "gone", b"")
        w.oci.faults.add(Fault(operation="PutObject", stall_seconds=0.02, times=None))
        tasks = [
            dask.client.submit(
                send_shard, shared, w.oci.endpoint, str(src), f"{n}/36", pure=False, retries=5
            )
            for n in range(36)
        ]
        w.oci.log.wait_for(lambda entry: entry.operation == "PutObject")
        dask.kill("shaky")
        told = dask.client.gather(tasks)
        assert w.oci.object_names("backups") == sorted(names)
        assert sum(deleted for _, deleted in told) <= 1
        # What the killed worker had sent is not sent again, but for what was under way: 8 tasks
        # with 2 files each.
        sent = w.oci.log.count(operation="PutObject")
        assert len(names) <= sent <= len(names) + 16


def test_what_is_no_longer_shared_is_an_error_that_says_so(dask: Cluster, tmp_path: Path) -> None:
    with world(tmp_path) as w, opened(w) as session:
        with share(dask.client, session) as shared:
            dask.client.gather(everywhere(dask, calls, shared, w.oci.endpoint, 1))
        for future in everywhere(dask, calls, shared, w.oci.endpoint, 1):
            error = future.exception()
            assert isinstance(error, SessionError)
            assert "there is no session" in str(error)
        assert session.credential().generation == 1, "the owner's own goes on"


def fetch(url: str, tls: dict[str, str]) -> bytes:
    context = ssl.create_default_context(cafile=tls["ca-file"])
    context.load_cert_chain(tls["cert"], tls["key"])
    with urllib.request.urlopen(url, timeout=30, context=context) as answer:  # noqa: S310  our own
        return bytes(answer.read())


PAGES = (
    *("info/main/workers.html", "info/logs.html", "json/counts.json", "json/identity.json"),
    *("metrics", "health", "eventstream", "api/v1"),
)


def big(number: int) -> bytes:
    return bytes([number % 251]) * 30_000_000


def test_no_secret_stands_anywhere(
    dask: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Scheduler, its pages and events, logs at debug, spilled results, plugins and tasks."""
    caplog.set_level("DEBUG", logger="distributed")
    with world(tmp_path) as w, opened(w) as session, share(dask.client, session) as shared:
        w.oci.revoke_all(refreshable=True)
        kept = everywhere(dask, calls, shared, w.oci.endpoint, 3, each=2)
        assert set(dask.client.gather(kept)) == {2}
        # More than the workers' memory holds, with the shared session among it.
        heavy = dask.client.map(big, range(6 * WORKERS), pure=False)
        passed = [dask.client.submit(lambda it: it, shared, pure=False) for _ in range(WORKERS)]
        with dask.client.as_current():
            distributed.wait([*heavy, *passed])
        secrets = {secret.encode() for secret in w.secrets()}
        assert len(secrets) > 20
        seen: dict[str, bytes] = {
            "task": pickle.dumps(shared),
            "plugins": dask.client.run_on_scheduler(
                lambda dask_scheduler: pickle.dumps(dask_scheduler.worker_plugins)
            ),
            "events": repr(dask.client.get_events()).encode(),
            "tasks": dask.client.run_on_scheduler(
                lambda dask_scheduler: repr(
                    [(key, each.run_spec) for key, each in dask_scheduler.tasks.items()]
                ).encode()
            ),
        }
        port = dask.client.scheduler_info()["services"].get("dashboard")
        assert port
        pages = 0
        for page in PAGES:
            try:
                seen[page] = fetch(f"http://127.0.0.1:{port}/{page}", dask.tls)
                pages += 1
            except OSError:
                continue  # not all versions have all pages
        assert pages >= 2, seen.keys()
        spilled = [each for each in dask.spill.rglob("*") if each.is_file()]
        assert any(each.stat().st_size > 1_000_000 for each in spilled), "something was spilled"
        seen |= {str(each): each.read_bytes() for each in spilled}
        seen |= {each.name: each.read_bytes() for each in dask.directory.glob("*.log")}
        seen["the owner's log"] = caplog.text.encode()
        assert b"ocihaul_credential" in seen["the owner's log"], "what workers ask is logged"
        sent = pickle.dumps(answer(session.credential(), known=None, now=0.0))
        assert sum(secret in sent for secret in secrets) > 20, "the search finds what it looks for"
        for where, data in seen.items():
            for secret in secrets:
                assert secret not in data, f"a secret is in {where}"


def test_plain_tcp_within_this_machine_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with (
        cluster(tmp_path / "plain", 1, tls=False) as plain,
        world(tmp_path) as w,
        opened(w) as session,
        share(plain.client, session) as shared,
    ):
        assert plain.client.submit(calls, shared, w.oci.endpoint, 1).result() == 1


def test_workers_in_this_process_use_the_session_itself(tmp_path: Path) -> None:
    with (
        world(tmp_path) as w,
        opened(w) as session,
        distributed.Client(
            processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
        ) as client,
        share(client, session) as shared,
    ):
        w.oci.revoke_all(refreshable=True)
        assert client.submit(calls, shared, w.oci.endpoint, 2).result() == 2
        assert w.refreshes() == 1


def test_an_asynchronous_client_is_refused() -> None:
    class Asynchronous:
        asynchronous = True

    with pytest.raises(UsageError, match="synchronous"):
        share(Asynchronous(), None)  # type: ignore[arg-type]
