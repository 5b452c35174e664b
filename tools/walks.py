"""Three uploads, watched: which files they go through, how deep, and what many small ones cost."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from ocihaul.emulator import Emulator, Settings

MIB = 2**20
_PACKAGE = str(Path(__file__).parents[1] / "src" / "ocihaul") + "/"
_EMULATOR = _PACKAGE + "emulator/"
_SMALL = 20


def main() -> int:
    """Watch each in a process of its own, so that one does not warm up another; print JSON."""
    if len(sys.argv) > 1:
        print(json.dumps(_WALKS[sys.argv[1]](*sys.argv[2:])))
        return 0
    figures: dict[str, object] = {}
    with Emulator(Settings(bucket="b")) as oci, tempfile.TemporaryDirectory() as directory:
        config = oci.write_profile(Path(directory) / "oci")
        file = Path(directory) / "file"
        file.write_bytes(bytes(25 * MIB))
        for name in _WALKS:
            done = subprocess.run(
                [sys.executable, "-m", "tools.walks", name, str(config), oci.endpoint, str(file)],
                check=True,
                stdout=subprocess.PIPE,
                env={"PATH": "/usr/bin:/bin", "OCIHAUL_STATE_DIR": str(Path(directory) / name)},
                cwd=Path(__file__).parents[1],
            )
            figures |= json.loads(done.stdout)
    print(json.dumps(figures))
    return 0


class Watch:
    """Counts the files whose functions are called, in all threads; class bodies do not count.

    In the main thread it also notes the way of the upload's request, as an argument.
    """

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.deepest: list[str] = []
        #: The files whose functions take the request, in order, each stay once.
        self.stays: list[str] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for as long as the context lasts."""
        threading.setprofile(self._see)
        sys.setprofile(self._see)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        if not _is_ours(code.co_filename) or code.co_name.startswith("<"):
            return
        if code.co_name.lstrip("_")[:1].isupper():  # a class body
            return
        self.files.add(code.co_filename)
        if threading.current_thread() is not _MAIN:
            if code.co_name == "read_into":
                self.deepest = self.deepest or list(_above(frame))
        elif self.stays[-1:] != [code.co_filename] and _takes_request(frame):
            self.stays.append(code.co_filename)

    @property
    def returns(self) -> int:
        """How often the request comes back to a file that it has left already."""
        return len(self.stays) - len(set(self.stays))


def _takes_request(frame: FrameType) -> bool:
    """Whether a function that is being called has the upload's request as an argument."""
    return any(type(each).__name__ == "UploadRequest" for each in frame.f_locals.values())


def _above(frame: FrameType | None) -> Iterator[str]:
    """The files of our frames, the innermost first."""
    while frame is not None:
        if _is_ours(frame.f_code.co_filename):
            yield frame.f_code.co_filename
        frame = frame.f_back


def _is_ours(filename: str) -> bool:
    return filename.startswith(_PACKAGE) and not filename.startswith(_EMULATOR)


def command(config: str, endpoint: str, file: str) -> dict[str, object]:
    """`os object put` of three parts."""
    from ocihaul.cli.app import run  # noqa: PLC0415  what it loads is what is measured

    watch = Watch()
    line = ["os", "object", "put", "-bn", "b", "--file", file, "--part-size", "10", "--force"]
    line += ["--config-file", config, "--auth", "security_token", "--endpoint", endpoint]
    quiet = io.StringIO()
    with watch.watching(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        code = run([*line, "--auth-endpoint", endpoint])
    if code:
        raise SystemExit(f"the upload ended with {code}: {quiet.getvalue()}")
    return {
        "files run by `os object put` of 3 parts": len(watch.files),
        "frames from the worker to the next block": len(watch.deepest),
        "files among these frames": len(set(watch.deepest)),
    }


def library(config: str, endpoint: str, file: str) -> dict[str, object]:
    """`ocihaul.upload` of three parts."""
    import ocihaul  # noqa: PLC0415

    watch = Watch()
    with watch.watching():
        ocihaul.upload(
            file,
            "b",
            part_size=10 * MIB,
            existing=ocihaul.IfExists.REPLACE,
            **_place(config, endpoint),
        )
    return {
        "files run by `ocihaul.upload` of 3 parts": len(watch.files),
        "returns of an upload's request to a file it has left": watch.returns,
    }


def small(config: str, endpoint: str, file: str) -> dict[str, object]:
    """Twenty uploads of 1 KiB by one client, one after the other."""
    import ocihaul  # noqa: PLC0415

    Path(file).with_name("small").write_bytes(bytes(1024))
    started = time.perf_counter()
    with ocihaul.Client.from_profile(**_place(config, endpoint)) as client:
        for number in range(_SMALL):
            client.upload(Path(file).with_name("small"), "b", f"small-{number}")
    return {
        f"seconds of {_SMALL} uploads of 1 KiB by one client": round(
            time.perf_counter() - started, 2
        )
    }


def _place(config: str, endpoint: str) -> dict[str, Any]:
    return {
        "config_file": config,
        "auth": "security_token",
        "endpoint": endpoint,
        "auth_endpoint": endpoint,
    }


_MAIN = threading.main_thread()
_WALKS: dict[str, Callable[[str, str, str], dict[str, object]]] = {
    "command": command,
    "library": library,
    "small": small,
}

if __name__ == "__main__":
    raise SystemExit(main())
