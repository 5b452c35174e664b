"""A world that the library finds by the environment alone, as it finds yours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World, world


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with world(tmp_path) as w:
        for name, value in w.environ().items():
            if name.startswith("OCI"):
                monkeypatch.setenv(name, value)
        yield w
