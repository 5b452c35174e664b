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


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    """A handler that a test leaves behind would swallow the signals of the tests after it."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    left = [number.name for number in numbers if signal.getsignal(number) is not before[number]]
    for number, handler in before.items():
        signal.signal(number, handler or signal.SIG_DFL)
    assert not left, f"{left} have other handlers than before"
