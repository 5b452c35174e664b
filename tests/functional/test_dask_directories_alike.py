"""`sync --delete` by Dask gives what one run gives, over random names, contents and deletions.

The workers are threads of this process: batches, bounds and results are the real ones, and a
hundred examples take seconds.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import distributed
import pytest
from hypothesis import given

from ocihaul.client import Client
from ocihaul.cluster import files
from ocihaul.directories.run import DirectoryResult
from tests.functional.directories import content
from tests.functional.test_directories_shards_alike import (
    ALIKE,
    EXAMPLES,
    HOWS,
    Both,
    How,
    both_sides,
    fill,
    grow,
    stored,
    together,
)
from tests.world import World, world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120 + 5 * EXAMPLES),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[World, Client, distributed.Client]]:
    """One emulator, one client and one cluster for all examples."""
    home = tmp_path_factory.mktemp("dask")
    with (
        pytest.MonkeyPatch.context() as patch,
        world(home) as w,
        Client(w.settings()) as client,
        distributed.Client(
            processes=False,
            n_workers=3,
            threads_per_worker=2,
            dashboard_address=None,
            set_as_default=False,
        ) as cluster,
        mock.patch.object(files, "MOST_FILES", 2),  # so that there are many batches
    ):
        patch.setenv("OCIHAUL_STATE_DIR", str(home / "state"))
        for name in ("one", "shards"):
            w.oci.create_bucket(name)
        yield w, client, cluster


@ALIKE
@given(both=both_sides(), how=HOWS)
def test_the_bucket_is_alike(
    there: tuple[World, Client, distributed.Client], both: Both, how: How
) -> None:
    w, client, cluster = there
    with TemporaryDirectory(dir=w.home) as scratch:
        src = Path(scratch) / "src"
        grow(src, both.files)
        fill(w, client, both.objects, how.prefix)

        def call(bucket: str, **more: Any) -> DirectoryResult:
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
            assert together([call("shards", executor=cluster)]) == one
            assert stored(w, "shards") == stored(w, "one")
            dry = call("shards", executor=cluster, dry_run=True)
            assert (dry.transferred, dry.deleted, dry.failed) == (0, 0, one[0][3])


@ALIKE
@given(both=both_sides(), how=HOWS)
def test_the_directory_is_alike(
    there: tuple[World, Client, distributed.Client], both: Both, how: How
) -> None:
    w, client, cluster = there
    if both.files and not both.objects:
        both.objects["z/one"] = b"so that it is not taken for a mistake"
    with TemporaryDirectory(dir=w.home) as scratch:
        whole, parts = Path(scratch) / "whole", Path(scratch) / "parts"
        grow(whole, both.files)
        shutil.copytree(whole, parts)
        fill(w, client, both.objects, how.prefix)

        def call(root: Path, **more: Any) -> DirectoryResult:
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
        numbers, told = together([call(parts, executor=cluster)])
        # A directory with an object of its own is made by whoever needs it first.
        assert (numbers[0] + numbers[1], *numbers[2:], told) == (came + kept, *rest, failures)
        assert content(parts) == content(whole)
        assert not list(parts.glob(".*.ocihaul"))
