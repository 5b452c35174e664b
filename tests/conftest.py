"""For all tests: the same ground under them, however they are started."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure, and what fails does so each time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# Under nohup or in a shell's background some signals are ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory for sockets, whose paths have to be short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # TMPDIR may be long
        yield Path(name)
