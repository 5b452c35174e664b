"""`sync --delete` by shards gives what one run gives, over random names, contents and deletions."""

import os
import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocihaul.client import Client
from ocihaul.directories.run import DirectoryResult
from tests.functional.directories import OLD, content
from tests.world import World, world

#: OCIHAUL_SHARD_EXAMPLES asks for more.
EXAMPLES = int(os.environ.get("OCIHAUL_SHARD_EXAMPLES", "40"))

SEGMENTS = st.sampled_from(
    [
        "a",
        "b",
        "A",
        "ü",
        "e\u0301",
        "\u00e9",
        "sp ace",
        "%41",
        "-rf",
        "日本",
        "x.tar",
        ".h",
        "~",
        "!",
    ]
)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join)
CONTENTS = st.sampled_from([b"", b"1", b"2", b"33", b"a longer one"])
PREFIXES = st.sampled_from(["", "p/", "p", "ü/"])


@dataclass(frozen=True)
class Both:
    """Files and objects by their paths; no path is above another one.

    Where a name is a file's and a directory's, it depends on the order who has it, in one run too.
    """

    files: dict[str, bytes]
    objects: dict[str, bytes]


@st.composite
def both_sides(draw: st.DrawFn) -> Both:
    """Two sides that share some names."""
    paths = draw(st.lists(PATHS, unique=True, max_size=14))
    above = {
        "/".join(path.split("/")[:at]) for path in paths for at in range(1, path.count("/") + 1)
    }
    files: dict[str, bytes] = {}
    objects: dict[str, bytes] = {}
    for path in paths:
        if path in above:
            continue
        where = draw(st.sampled_from(["file", "object", "both", "empty directory", "marker"]))
        if where in {"file", "both"}:
            files[path] = draw(CONTENTS)
        if where in {"object", "both"}:
            objects[path] = draw(CONTENTS)
        if where == "empty directory":
            files[path + "/"] = b""
        if where == "marker":
            objects[path + "/"] = b""
        if where == "object" and draw(st.booleans()):
            objects["/" + path] = draw(CONTENTS)
    for directory in draw(st.lists(st.sampled_from(sorted(above)), max_size=2)) if above else ():
        objects[directory + "/"] = b""
    return Both(files, objects)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Client]]:
    """One emulator and one client for all examples."""
    home = tmp_path_factory.mktemp("shards")
    with (
        pytest.MonkeyPatch.context() as patch,
        world(home) as w,
        Client(w.settings()) as client,
    ):
        patch.setenv("OCIHAUL_STATE_DIR", str(home / "state"))
        for name in ("one", "shards"):
            w.oci.create_bucket(name)
        yield w, client


def grow(root: Path, files: dict[str, bytes]) -> None:
    """Make the directory; its files are older than every object."""
    root.mkdir()
    for path, data in files.items():
        full = root / path
        if path.endswith("/"):
            full.mkdir(parents=True, exist_ok=True)
            continue
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(data)
        os.utime(full, (OLD, OLD))


def fill(w: World, client: Client, objects: dict[str, bytes], prefix: str) -> None:
    """Both buckets anew, the same things in them, and two objects beside the prefix."""
    for bucket in ("one", "shards"):
        for name in w.oci.object_names(bucket):
            client.delete_object(bucket, name, namespace=w.oci.namespace)
        for name, data in ({prefix + n: d for n, d in objects.items()}).items():
            w.oci.put_object(bucket, name, data)
        if prefix:
            w.oci.put_object(bucket, "other/file", b"not ours")


def stored(w: World, bucket: str) -> dict[str, bytes]:
    return {name: w.oci.read_object(bucket, name) for name in w.oci.object_names(bucket)}


@dataclass(frozen=True)
class How:
    """The prefix, so many shards, in what order, and all at once or one after the other."""

    prefix: str
    count: int
    seed: int
    checksum: bool
    at_once: bool


HOWS = st.builds(
    How,
    prefix=PREFIXES,
    count=st.integers(2, 5),
    seed=st.integers(0, 99),
    checksum=st.booleans(),
    at_once=st.booleans(),
)

Numbers = tuple[int, int, int, int]


def together(results: list[DirectoryResult]) -> tuple[Numbers, dict[str, str]]:
    """The sums, and all failures; no name has failed twice."""
    failures: dict[str, str] = {}
    for each in results:
        assert not failures.keys() & each.failures.keys()
        failures |= each.failures
    return (
        sum(each.transferred for each in results),
        sum(each.skipped for each in results),
        sum(each.deleted for each in results),
        sum(each.failed for each in results),
    ), failures


def in_shards(call: Any, how: How) -> Any:
    shards = [f"{index}/{how.count}" for index in range(how.count)]
    random.Random(how.seed).shuffle(shards)  # noqa: S311  not a secret
    with ThreadPoolExecutor(how.count if how.at_once else 1) as pool:
        return together(list(pool.map(lambda shard: call(shard=shard, parallel=2), shards)))


ALIKE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.slow
@pytest.mark.timeout(120 + 5 * EXAMPLES)
@ALIKE
@given(both=both_sides(), how=HOWS)
def test_the_bucket_is_alike(there: tuple[World, Client], both: Both, how: How) -> None:
    w, client = there
    with TemporaryDirectory(dir=w.home) as scratch:
        src = Path(scratch) / "src"
        grow(src, both.files)
        fill(w, client, both.objects, how.prefix)

        def call(bucket: str = "shards", **more: Any) -> DirectoryResult:
            return client.upload_directory(
                src,
                bucket,
                prefix=how.prefix,
                namespace="ns1",
                delete=True,
                checksum=how.checksum,
                **more,
            )

        if both.files or not both.objects:
            one = together([call("one")])
            assert in_shards(call, how) == one
            assert stored(w, "shards") == stored(w, "one")
        # A wrong number of shards in some runs: nothing that has a file is deleted or damaged.
        wrong = [f"{how.seed % 3}/3", f"{how.seed % 7}/7"]
        before = stored(w, "shards")
        for shard in wrong if both.files else ():
            call(shard=shard)
        assert stored(w, "shards") == before


@pytest.mark.slow
@pytest.mark.timeout(120 + 5 * EXAMPLES)
@ALIKE
@given(both=both_sides(), how=HOWS)
def test_the_directory_is_alike(there: tuple[World, Client], both: Both, how: How) -> None:
    w, client = there
    if both.files and not both.objects:
        both.objects["z/one"] = b"so that it is not taken for a mistake"
    with TemporaryDirectory(dir=w.home) as scratch:
        whole, parts = Path(scratch) / "whole", Path(scratch) / "parts"
        grow(whole, both.files)
        shutil.copytree(whole, parts)
        fill(w, client, both.objects, how.prefix)

        def call(root: Path = parts, **more: Any) -> DirectoryResult:
            return client.download_directory(
                "one",
                root,
                prefix=how.prefix,
                namespace="ns1",
                delete=True,
                checksum=how.checksum,
                **more,
            )

        (came, kept, *rest), failures = together([call(whole)])
        numbers, told = in_shards(call, how)
        # A directory with an object of its own is made by whoever needs it first.
        assert (numbers[0] + numbers[1], *numbers[2:], told) == (came + kept, *rest, failures)
        assert content(parts) == content(whole)
