"""The engine and the images; where there is none, everything here is skipped and says why."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.engine import Engine, EngineMissingError, find_engine
from tests.world import World, world


@pytest.fixture(scope="session")
def engine_here() -> Engine:
    try:
        engine = find_engine()
        assert engine.base
    except EngineMissingError as error:
        if os.environ.get("OCIHAUL_CONTAINER_REQUIRED"):
            raise
        pytest.skip(str(error))
    return engine


@pytest.fixture
def engine(engine_here: Engine) -> Iterator[Engine]:
    yield engine_here
    engine_here.clean()


@pytest.fixture(scope="session")
def image(engine_here: Engine) -> str:
    return engine_here.build("ocihaul")


@pytest.fixture(scope="session")
def emulator_image(engine_here: Engine) -> str:
    return engine_here.build("emulator")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the containers' user can get at: pytest closes its own to others."""
    with tempfile.TemporaryDirectory(prefix="ocihaul-container-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def slow(place: Path) -> Iterator[World]:
    """Tokens live 4 s, and the line carries 4 MiB/s."""
    with world(place, token_ttl=4.0, bandwidth=4 * 2**20) as w:
        yield w


@pytest.fixture
def quick(place: Path) -> Iterator[World]:
    with world(place) as w:
        yield w
