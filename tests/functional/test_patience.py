"""What a person waits for at a terminal gives up in seconds where nothing answers."""

import time
from pathlib import Path

import pytest

from tests.functional.directories import run
from tests.logins import free_port
from tests.world import world


@pytest.mark.slow
@pytest.mark.parametrize("words", [("list",), ("head", "--name", "x")], ids=["list", "head"])
@pytest.mark.parametrize("host", ["127.0.0.1", "storage.invalid"], ids=["refused", "no such name"])
def test_finding_d10_a_question_at_a_terminal_ends_in_seconds(
    tmp_path: Path, host: str, words: tuple[str, ...]
) -> None:
    with world(tmp_path) as w:
        nowhere = f"https://{host}:{free_port()}"
        began = time.monotonic()
        ran = run(w, *words, "--endpoint", nowhere, terminal=True)
        assert time.monotonic() - began < 100
        assert ran.code == 75
        assert "cannot connect to" in ran.err
        assert "Check the network" in ran.err
