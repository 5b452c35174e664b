"""One session, many processes: one call per token, whoever dies, and never a torn pair."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ocihaul.config import Flags, resolve
from ocihaul.errors import CredentialError
from ocihaul.session.credential import SessionToken
from ocihaul.session.session import store_for
from ocihaul.session.store import CredentialStore, write_private
from tests.world import World, world

#: Eight threads on one Session; at "go" all ask for a credential at once. Says which token it was.
MEETING = r"""
import hashlib, json, sys, threading
from pathlib import Path
from ocihaul.config import Flags, resolve
from ocihaul.session.session import Session
config, endpoint, background = sys.argv[1], sys.argv[2], sys.argv[3] == "background"
settings = resolve(
    Flags(config_file=config, auth="security_token", endpoint=endpoint, auth_endpoint=endpoint),
    {}, Path(config).parent,
)
session = Session.from_settings(settings)
if background:
    session.start()
print("ready", flush=True)
sys.stdin.readline()
seen, lock, gate = set(), threading.Lock(), threading.Barrier(8)
def ask():
    gate.wait()
    credential = session.credential()
    with lock:
        seen.add(hashlib.sha256(credential.token.raw.encode()).hexdigest())
threads = [threading.Thread(target=ask) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(sorted(seen)), flush=True)
sys.stdin.readline()
session.close()
"""


class Meeting:
    """Processes that wait for the same moment."""

    def __init__(self, w: World, count: int, *, background: bool = False) -> None:
        mode = "background" if background else "on demand"
        self.members = [
            subprocess.Popen(
                [sys.executable, "-c", MEETING, str(w.config), w.oci.endpoint, mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(count)
        ]
        for member in self.members:
            assert self.line(member) == "ready"

    def line(self, member: "subprocess.Popen[str]") -> str:
        assert member.stdout is not None
        return member.stdout.readline().strip()

    def say(self, member: "subprocess.Popen[str]") -> None:
        assert member.stdin is not None
        member.stdin.write("\n")
        member.stdin.flush()

    def end(self) -> None:
        for member in self.members:
            if member.poll() is None:
                member.kill()
            member.wait(10)
            for stream in (member.stdin, member.stdout):
                if stream is not None:
                    stream.close()


def due_token(w: World, *, margin: bool) -> SessionToken:
    """A token of an hour for which renewal is due, or that has no life left to sign with."""
    now = int(time.time())
    left = 60 if margin else 1500
    text = w.oci.issue_token(w.logins[0], iat=now - 3600 + left, exp=now + left)
    write_private(w.token_file, text.encode())
    return SessionToken.parse(text)


@pytest.mark.parametrize("margin", [False, True], ids=["due", "no life left"])
def test_64_threads_in_8_processes_meet_the_same_expiry_with_one_call(
    tmp_path: Path, margin: bool
) -> None:
    with world(tmp_path) as w:
        old = due_token(w, margin=margin)
        meeting = Meeting(w, 8)
        try:
            for member in meeting.members:
                meeting.say(member)
            seen = [json.loads(meeting.line(member)) for member in meeting.members]
        finally:
            meeting.end()
        assert w.refreshes() == 1
        new = SessionToken.parse(w.token_file.read_text())
        assert new.raw != old.raw
        if margin:
            assert len({digest for digests in seen for digest in digests}) == 1


def holder_of(w: World) -> int | None:
    """The process that holds the session's lock, as the kernel tells it."""
    lock = w.token_file.with_name("token.lock")
    if not lock.exists():
        return None
    inode = lock.stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    return None


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="the kernel names no lock holders")
def test_when_the_renewing_process_is_killed_in_its_call_the_others_take_over(
    tmp_path: Path,
) -> None:
    with world(tmp_path, refresh_outage="hang") as w:
        due_token(w, margin=True)
        meeting = Meeting(w, 8)
        try:
            for member in meeting.members:
                meeting.say(member)
            deadline = time.monotonic() + 20
            while (victim := holder_of(w)) is None:
                assert time.monotonic() < deadline, "nobody began to renew"
                time.sleep(0.02)
            time.sleep(0.5)  # the call is out, and hangs
            assert holder_of(w) == victim
            w.oci.configure(refresh_outage=None)
            assert victim in {member.pid for member in meeting.members}
            os.kill(victim, signal.SIGKILL)
            killed = time.monotonic()
            survivors = [each for each in meeting.members if each.pid != victim]
            seen = {digest for each in survivors for digest in json.loads(meeting.line(each))}
            took = time.monotonic() - killed
        finally:
            meeting.end()
        assert took < 5, f"{took:.1f} s"
        assert len(seen) == 1
        assert w.refreshes() == 1, "the killed one's call never got an answer"


def store_of(w: World) -> CredentialStore:
    flags = Flags(config_file=str(w.config), auth="security_token", endpoint=w.oci.endpoint)
    return store_for(resolve(flags, {}, w.home))


#: The official CLI's way to write: empty the file, fill it; and a login: key, then token. Until
#: it is told to end.
STOCK_WRITER = r"""
import select, sys, time
from pathlib import Path
folder, logins, turn = Path(sys.argv[1]), sys.argv[2:], 0
while not select.select([sys.stdin], [], [], 0.003)[0]:
    source = Path(logins[turn // 200 % len(logins)])
    for name in ("oci_api_key.pem", "token") if turn % 200 == 0 else ("token",):
        with open(folder / name, "w") as file:
            file.write((source / name).read_text())
    turn += 1
print(turn)
"""


class Storm:
    """Readers and atomic writers of ours on one pair, counted; `wrong` is what must not be."""

    def __init__(self, w: World) -> None:
        self.world = w
        self.over = threading.Event()
        self.reads, self.replaces = [0, 0, 0], [0, 0]
        self.wrong: list[str] = []
        self.threads = [
            *(threading.Thread(target=self.read, args=[n]) for n in range(len(self.reads))),
            *(threading.Thread(target=self.replace, args=[n]) for n in range(len(self.replaces))),
        ]

    def read(self, number: int) -> None:
        store = store_of(self.world)
        while not self.over.is_set():
            try:
                pair = store.read()
            except CredentialError as error:
                self.wrong.append(f"reader: {error.message}")
                return
            if not pair.token.belongs_to(pair.key.public_key()):
                self.wrong.append("a mismatched pair")
            self.reads[number] += 1

    def replace(self, number: int) -> None:
        store = store_of(self.world)
        while not self.over.is_set():
            try:
                pair = store.read()
            except CredentialError as error:
                self.wrong.append(f"writer: {error.message}")
                return
            with store.lock(10.0):
                if store.replace(pair.token, instead_of=pair.token) is None:
                    self.replaces[number] += 1

    def run(self, *, reads: int, replaces: int, seconds: float) -> None:
        """Until there were so many of each, or for so long."""
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.start()
        while time.monotonic() < deadline and not self.wrong:
            if sum(self.reads) >= reads and sum(self.replaces) >= replaces:
                break
            time.sleep(0.05)
        self.over.set()
        for thread in self.threads:
            thread.join(15)


@pytest.mark.slow
@pytest.mark.timeout(300)  # a slow disk needs long for a thousand
def test_no_reader_gets_an_empty_cut_or_mismatched_pair_in_a_storm_of_writers(
    tmp_path: Path,
) -> None:
    """Two writers replace atomically, the third truncates first, as the official CLI does."""
    with world(tmp_path) as w:
        for name in ("A", "B"):
            w.oci.write_profile(tmp_path / name, session=w.oci.login())
        logins = [str(tmp_path / name / "sessions" / "DEFAULT") for name in ("A", "B")]
        with subprocess.Popen(
            [sys.executable, "-c", STOCK_WRITER, str(w.token_file.parent), *logins],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as official:
            storm = Storm(w)
            storm.run(reads=3000, replaces=1000, seconds=240)
            written = int(official.communicate("\n", timeout=20)[0])
    assert storm.wrong == []
    assert sum(storm.reads) >= 3000, storm.reads
    assert sum(storm.replaces) >= 1000, storm.replaces
    assert written >= 20  # it ends with the storm, and gets less of a busy machine than the others
