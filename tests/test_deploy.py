"""The files in deploy/, as far as they can be checked without a container engine."""

import shutil
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[1] / "deploy"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "ocihaul-keep@NIGHT.service"
    shutil.copy(DEPLOY / "systemd" / "ocihaul-keep@.service", unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ocihaul-keep" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_only_the_image_changes_in_the_reports_command() -> None:
    lines = (DEPLOY / "docker" / "Dockerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["ocihaul"]' in lines
    assert any(line.startswith("ENV HOME=/oracle") for line in lines)
