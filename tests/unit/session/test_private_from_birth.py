"""Keys, tokens and their directories are closed to others from their first moment, not afterwards.

A process with no umask writes them, and before each of its steps (an audit event: opening,
renaming, changing a mode, …) everything that is there is looked at.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

#: Runs `work(home)` of the program that follows; tells what it has seen.
WATCHED = """
import json, os, stat, sys
from pathlib import Path

home, looks, looking, seen = Path(sys.argv[1]), 0, False, {}

def look(*_):
    global looks, looking
    if looking:
        return
    looking = True
    try:
        looks += 1
        for folder, folders, files in os.walk(home):
            for name in folders + files:
                path = os.path.join(folder, name)
                try:
                    mode = stat.S_IMODE(os.lstat(path).st_mode)
                except FileNotFoundError:
                    continue
                if not stat.S_ISLNK(os.lstat(path).st_mode):
                    seen.setdefault(os.path.relpath(path, home), set()).add(mode)
    finally:
        looking = False

def watched(work):
    os.umask(0)
    sys.addaudithook(look)
    work(home)
    look()
    modes = {name: sorted(each) for name, each in seen.items()}
    print(json.dumps({"looks": looks, "modes": modes}))
"""

LOGIN = """
from ocihaul.session.login.profile_files import NewSession, write_session, write_token
from ocihaul.session.login.profile_paths import ProfilePaths, prepare
from ocihaul.session.store import CredentialStore
from ocihaul.session.lockfile import KeeperLock
from ocihaul.session.credential import SessionToken
from tests.support import NOW, make_token, rsa_key

key = rsa_key()
first, second, third = (
    SessionToken.parse(make_token(key, exp=NOW + 3600 + each)) for each in range(3)
)
place = ProfilePaths("night", home / "oci" / "config", home / "oci" / "sessions" / "night")

def work(home):
    prepare(place)
    session = NewSession(first, key.public_key(), key)
    write_session(place, session, tenancy=None, region="eu-frankfurt-1")
    store = CredentialStore(place.token_file, place.key_file)
    with store.lock(1.0):
        assert store.replace(second, instead_of=first) is None
    write_token(store, third)
    KeeperLock(place.token_file).acquire()
    assert store.read_once().token == third

watched(work)
"""

CARELESS = """
def work(home):
    (home / "token").write_text("secret")
    (home / "token").chmod(0o600)

watched(work)
"""


def modes_seen(program: str, home: Path) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED + program, str(home)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert ran.returncode == 0, ran.stderr
    report: dict[str, Any] = json.loads(ran.stdout)
    assert report["looks"] >= 3
    return {name: set(modes) for name, modes in report["modes"].items()}


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes mean nothing there")


def test_a_login_and_its_renewals_leave_nothing_open_at_any_moment(tmp_path: Path) -> None:
    seen = modes_seen(LOGIN, tmp_path)
    folders = {"oci", "oci/sessions", "oci/sessions/night"}
    files = {f"oci/sessions/night/{name}" for name in ("token", "oci_api_key.pem")}
    others = {"oci/config", "oci/sessions/night/token.lock", "oci/sessions/night/token.keepers"}
    assert folders | files | others <= seen.keys()
    assert any("/.token." in name for name in seen), "the temporary file was seen as well"
    for name, modes in seen.items():
        assert modes == {0o700 if name in folders else 0o600}, name


def test_a_file_that_is_closed_afterwards_would_be_seen(tmp_path: Path) -> None:
    assert modes_seen(CARELESS, tmp_path) == {"token": {0o600, 0o666}}
