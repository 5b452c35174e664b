"""Where things are remembered when nobody says where."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.world import PART, Ran, World, world


def run(w: World, *args: str, **environ: str) -> Ran:
    """The command, with nothing but the environment_and_home to go by."""
    given = {name: value for name, value in w.environ().items() if name != "OCIHAUL_STATE_DIR"}
    done = subprocess.run(
        [sys.executable, "-m", "ocihaul", *args],
        env=given | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return w.checked(Ran(done.returncode, done.stdout, done.stderr))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
@pytest.mark.parametrize(
    ("variables", "place"),
    [({}, ".local/state/ocihaul"), ({"XDG_STATE_HOME": "elsewhere"}, "elsewhere/ocihaul")],
    ids=["HOME", "XDG_STATE_HOME"],
)
def test_the_journal_is_where_the_system_keeps_the_state_of_programs(
    tmp_path: Path, variables: dict[str, str], place: str
) -> None:
    environ = {name: str(tmp_path / value) for name, value in variables.items()}
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        w.oci.faults.add(Fault(operation="UploadPart", part_number=3, status=403, early=True))
        put = w.put(source, "--parallel-upload-count", "1")
        ran = run(w, *put, **environ)
        assert ran.code == 1, ran.err
        directory = tmp_path / place
        journal = directory / "journal.sqlite3"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert stat.S_IMODE(journal.stat().st_mode) == 0o600
        assert list(tmp_path.rglob("journal.sqlite3")) == [journal], "there and nowhere else"
        ran = run(w, *put, **environ)
        assert ran.code == 0, ran.err
        assert "2 of 3 parts are there" in ran.err
        assert w.arrived_whole(source)
        listed = json.loads(run(w, "receipts", "list", "--json", **environ).out)
        assert [kept["object"] for kept in listed["data"]] == [source.name]
