"""The official CLI and SDK as judges of the emulator: unmodified, as subprocesses.

They come from the virtual environment that OCIHAUL_COMPAT_VENV names.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ocihaul.emulator import Emulator, Settings

_LEFT_OUT = ("PROXY", "CA_BUNDLE", "SSL_CERT", "OCI_")


def _environment(home: Path) -> dict[str, str]:
    """Ours, without what would lead the tools elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(word in name.upper() for word in _LEFT_OUT)
    }
    return {
        **kept,
        "HOME": str(home),
        "SUPPRESS_LABEL_WARNING": "True",
        "OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True",
        "PYTHONWARNINGS": "ignore",
    }


@dataclass
class Official:
    """Runs the official tools against one emulator."""

    oci: Emulator
    venv: Path
    home: Path
    config: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str, stdin: bytes | None = None, endpoint: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """`oci …` as its user would type it."""
        flags = ["--config-file", str(self.config), "--auth", "security_token"]
        if endpoint:
            flags += ["--endpoint", self.oci.endpoint]
        return self.program([str(self.venv / "bin" / "oci"), *flags, *arguments], stdin)

    def bare(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """`oci …` with nothing added."""
        return self.program([str(self.venv / "bin" / "oci"), *arguments])

    def script(self, code: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """A program with the SDK at hand."""
        return self.program([str(self.venv / "bin" / "python"), "-c", code, *arguments])

    def log_in(self) -> None:
        """A new login, as of now: where tokens live for seconds, a large file takes half a life."""
        self.oci.write_profile(
            self.config.parent, session=self.oci.login(), region="eu-frankfurt-1"
        )

    def program(
        self, command: Sequence[str], stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Any program in the clean environment."""
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            input=b"" if stdin is None else stdin,
            env={**_environment(self.home), **self.environment},
            cwd=self.home,
            timeout=60,
        )

    def os(self, *arguments: str, stdin: bytes | None = None) -> Any:
        """`oci os …`, which must succeed; its JSON."""
        done = self.run("os", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        text = done.stdout.decode().strip()
        return json.loads(text) if text else None

    def place(self) -> list[str]:
        """Namespace and bucket."""
        return ["-ns", self.oci.namespace, "-bn", "backups"]


@pytest.fixture(scope="session")
def venv() -> Path:
    path = os.environ.get("OCIHAUL_COMPAT_VENV")
    if not path:
        pytest.skip("OCIHAUL_COMPAT_VENV is not set: run `make test-compat`")
    return Path(path)


@pytest.fixture
def settings() -> Settings:
    """Override by parametrizing or in the module."""
    return Settings()


@pytest.fixture
def official(venv: Path, tmp_path: Path, settings: Settings) -> Iterator[Official]:
    with Emulator(settings) as oci:
        home = tmp_path / "home"
        home.mkdir()
        region = oci.region_trick if settings.tls else "eu-frankfurt-1"
        config = oci.write_profile(home / ".oci", region=region)
        environment = {"REQUESTS_CA_BUNDLE": str(oci.ca_file)} if oci.ca_file else {}
        yield Official(oci, venv, home, config, environment)
