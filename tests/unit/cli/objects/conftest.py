"""Commands on the real core, against an emulator of their own."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest

from ocihaul.cli import app
from ocihaul.emulator import Emulator, Settings
from tests.unit.cli.conftest import Outcome


@pytest.fixture
def service() -> Iterator[Emulator]:
    with Emulator(Settings()) as running:
        yield running


@pytest.fixture
def official_forms(
    service: Emulator,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Outcome]:
    """Run `os …` as a script does: `typed` is what is piped in."""
    config = service.write_profile(home / "oci")

    def command(*argv: str, typed: str = "", stdin: TextIO | None = None) -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed) if stdin is None else stdin)
        place = ["--config-file", str(config), "--auth", "security_token"]
        place += ["--endpoint", service.endpoint, "--auth-endpoint", service.endpoint]
        code = app.run(["os", *argv, *place])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command
