"""Sources that are not what their size says, and ones that change at the last moment."""

import os
import threading
from pathlib import Path

import pytest

from ocihaul.errors import SourceError, UsageError
from ocihaul.transfer.receipt import check_place
from ocihaul.transfer.source import FileSource


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_file_that_hides_its_size_is_refused_and_not_stored_empty() -> None:
    with pytest.raises(SourceError, match="more than the 0 bytes"):
        FileSource(Path("/proc/self/status"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    pipe, said = tmp_path / "pipe", []
    os.mkfifo(pipe)

    def look() -> None:
        with pytest.raises(SourceError, match="not a regular file") as caught:
            FileSource(pipe)
        said.append(caught.value)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(5)
    assert said


def test_a_path_with_a_nul_is_told_in_our_own_words() -> None:
    with pytest.raises(SourceError, match="it has a NUL in it"):
        FileSource(Path("a\0b"))
    with pytest.raises(UsageError, match="it has a NUL in it"):
        check_place(Path("a\0b"), None)
