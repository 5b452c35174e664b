"""Fixtures for other people's tests: `pip install 'ocihaul[pytest]'`.

    def test_my_backup(oci_profile, tmp_path):      # a profile in the environment, and its emulator
        my_program.main()                           # any OCI client that reads the environment
        assert oci_profile.object_names("backups") == ["db.tar"]

    @pytest.mark.oci_emulator(token_ttl=4.0)        # fields of ocihaul.emulator.Settings
    def test_it_outlives_a_token(oci_emulator):
        oci_emulator.faults.add(Fault(operation="UploadPart", status=503))
        ...                                         # a fault that did not fire fails the test

pytest finds it by itself; `-p no:ocihaul` leaves it out. It imports nothing before it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ocihaul.emulator import Emulator


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "oci_emulator(**settings): how the fixture oci_emulator behaves"
    )


@pytest.fixture
def oci_emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A small OCI on loopback, for this test alone, with a bucket named backups.

    `@pytest.mark.oci_emulator(…)` takes the fields of `ocihaul.emulator.Settings`. At its end, a
    fault that was added and has not fired is an error.
    """
    try:
        from ocihaul.emulator import Emulator, Settings  # noqa: PLC0415  slow to import
    except ModuleNotFoundError as error:
        message = f"the fixture oci_emulator needs {error.name}: pip install 'ocihaul[pytest]'"
        raise pytest.UsageError(message) from error
    marker = request.node.get_closest_marker("oci_emulator")
    given = marker.kwargs if marker else {}
    for name in given.keys() - Settings.__dataclass_fields__.keys():
        near = get_close_matches(name, Settings.__dataclass_fields__, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise pytest.UsageError(f"oci_emulator: there is no setting {name!r}{meant}")
    with Emulator(Settings(**given)) as oci:
        yield oci
        oci.faults.assert_all_fired()


@pytest.fixture
def oci_profile(
    oci_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Emulator:
    """The emulator, with a session's profile of it in the environment.

    The config is `tmp_path/oci/config`. OCI_CLI_CONFIG_FILE, OCI_CONFIG_FILE, OCI_CLI_AUTH,
    OCI_CLI_ENDPOINT, OCIHAUL_AUTH_ENDPOINT and OCIHAUL_STATE_DIR are set for the test, so that
    what they name otherwise is not met.
    """
    config = oci_emulator.write_profile(tmp_path / "oci")
    for name, value in {
        "OCI_CLI_CONFIG_FILE": str(config),
        "OCI_CONFIG_FILE": str(config),
        "OCI_CLI_AUTH": "security_token",
        "OCI_CLI_ENDPOINT": oci_emulator.endpoint,
        "OCIHAUL_AUTH_ENDPOINT": oci_emulator.endpoint,
        "OCIHAUL_STATE_DIR": str(tmp_path / "ocihaul-state"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OCI_CLI_PROFILE", raising=False)
    return oci_emulator
