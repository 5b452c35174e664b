"""One emulator and one logged-in client for each test."""

from collections.abc import Iterator

import pytest

from ocihaul.emulator import Emulator, Settings

from .client import Client


@pytest.fixture
def oci() -> Iterator[Emulator]:
    with Emulator(Settings()) as emulator:
        yield emulator


@pytest.fixture
def client(oci: Emulator) -> Client:
    return Client(oci, oci.login())
