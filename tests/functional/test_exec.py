"""`exec`: a program of any kind, with its session kept alive underneath it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.world import World, world

#: Reads the token as a program of any kind would, for so many seconds; fails if it is expired.
READER = """
import base64, configparser, json, os, sys, time
config = configparser.ConfigParser()
config.read(os.environ["OCI_CLI_CONFIG_FILE"])
path = config[os.environ["OCI_CLI_PROFILE"]]["security_token_file"]
seen, end = set(), time.time() + float(sys.argv[1])
while time.time() < end:
    claims = open(path).read().split(".")[1]
    exp = json.loads(base64.urlsafe_b64decode(claims + "=="))["exp"]
    if exp <= time.time():
        sys.exit("an expired token")
    seen.add(exp)
    time.sleep(0.02)
print(len(seen))
sys.exit(7)
"""

#: Writes the name of each signal that it gets; ends at SIGTERM.
LISTENER = r"""
import os, signal, sys, time
def heard(number, frame):
    # Not print: a signal that arrives inside a print would find its buffer taken.
    os.write(1, (signal.Signals(number).name + "\n").encode())
    if number == signal.SIGTERM:
        sys.exit(9)
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGUSR1", "SIGUSR2"):
    signal.signal(getattr(signal, name), heard)
os.write(1, b"ready\n")
while True:
    time.sleep(0.05)
"""


def run(w: World, *command: str, **environ: str) -> tuple[int, str, str]:
    ran = w.run("exec", "--session-wait", "0", "--", *command, **environ)
    return ran.code, ran.out, ran.err


@pytest.mark.slow
def test_a_child_reads_living_tokens_through_three_lives_and_its_exit_is_ours(
    tmp_path: Path,
) -> None:
    with world(tmp_path, token_ttl=4.0) as w:
        w.token_file.write_text(w.oci.issue_token(w.logins[0]))  # a whole life for the start
        code, out, err = run(w, sys.executable, "-c", READER, "12")
        assert code == 7, err
        assert int(out) >= 5, "the file was renewed under the child"
        assert err == "", "nothing is wrong, nothing is said"
        refreshed = [entry.token_id for entry in w.oci.log.entries(operation="RefreshToken")]
        assert len(refreshed) == len(set(refreshed))


def test_the_environment_leads_to_the_profile(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.write_profile(w.home / "oci", "NIGHT")
        show = "import json, os; print(json.dumps({k: v for k, v in os.environ.items()}))"
        ran = w.run(
            *("exec", "--profile", "NIGHT", "--region", "us-ashburn-1", "--"),
            *(sys.executable, "-c", show),
            OCI_CLI_PROFILE="DAY",
            TF_VAR_own="kept",
        )
        found = json.loads(ran.out)
        assert found["OCI_CLI_PROFILE"] == "NIGHT"
        assert found["OCI_CLI_CONFIG_FILE"] == found["OCI_CONFIG_FILE"] == str(w.config)
        assert found["OCI_CLI_AUTH"] == "security_token"
        assert found["OCI_CLI_REGION"] == "us-ashburn-1"
        assert {name for name in found if name.startswith("TF_")} == {"TF_VAR_own"}


def test_streams_are_the_childs_own(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        done = subprocess.run(
            [sys.executable, "-m", "ocihaul", "exec", "--", "sh", "-c", "cat; echo problem >&2"],
            env=w.environ(),
            input=b"\x00bytes\xff",
            capture_output=True,
            check=True,
        )
        assert done.stdout == b"\x00bytes\xff"
        assert done.stderr == b"problem\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 128 + 9),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["no-such-command"], 127),
        (["/no/such/file"], 127),
        (["/etc/hostname"], 126),
    ],
)
def test_how_it_ended_is_told_as_a_shell_does(
    tmp_path: Path, command: list[str], code: int
) -> None:
    with world(tmp_path) as w:
        ran = run(w, *command)
        assert ran[0] == code, ran


def test_options_of_the_program_are_not_ours(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = w.run("exec", "sh", "-c", 'echo "$@"', "sh", "--profile", "x", "--debug", "--", "-d")
        assert ran.out == "--profile x --debug -- -d\n"


def test_signals_sent_to_us_reach_the_child_once(tmp_path: Path) -> None:
    names = ["SIGINT", "SIGHUP", "SIGQUIT", "SIGWINCH", "SIGUSR1", "SIGUSR2", "SIGTERM"]
    with world(tmp_path) as w:
        process = w.start("exec", "--", sys.executable, "-c", LISTENER)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for name in names:
            process.send_signal(getattr(signal, name))
            assert process.stdout.readline() == f"{name}\n"
            time.sleep(0.1)
        ran = w.finish(process)
        assert ran.code == 9, ran.err
        assert ran.out == "", "none came twice"


def test_ctrl_c_at_a_terminal_reaches_the_child_once(tmp_path: Path) -> None:
    """The kernel sends it to the whole process group: passing it on would make it two."""
    with world(tmp_path) as w:
        argv = [sys.executable, "-m", "ocihaul", "exec", "--", sys.executable, "-c", LISTENER]
        # A helper makes the terminal: fork in a process with threads (ours) is not safe.
        code = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *argv],
            env=w.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        process.stdin.write(b"\x03")
        process.stdin.flush()
        assert b"SIGINT" in process.stdout.readline()
        time.sleep(0.5)
        process.stdin.write(b"\x1c")
        process.stdin.flush()
        assert b"SIGQUIT" in process.stdout.readline()
        process.stdin.close()
        process.terminate()
        process.wait(10)
        process.stdout.close()


#: Leaves a file when the terminal hangs up, and ends.
HANGER = r"""
import os, signal, sys, time
from pathlib import Path
def heard(number, frame):
    Path(sys.argv[1]).write_text(str(os.getpid()))
    os._exit(0)
signal.signal(signal.SIGHUP, heard)
os.write(1, b"ready\n")
while True:
    time.sleep(0.05)
"""


def test_a_terminal_that_goes_away_takes_the_child_with_it(tmp_path: Path) -> None:
    """As after `ssh -t host ocihaul exec …`: we lead the session, and the kernel tells only us."""
    with world(tmp_path) as w:
        trace = tmp_path / "heard"
        argv = [sys.executable, "-m", "ocihaul", "exec", "--", sys.executable, "-c", HANGER]
        code = "import pty, sys; pty.spawn(sys.argv[1:])"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *argv, str(trace)],
            env=w.environ(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        process.kill()  # who holds the other end of the terminal
        process.communicate()
        for _ in range(200):
            if trace.exists():
                break
            time.sleep(0.05)  # a grandchild: there is nothing else to wait on
        assert trace.exists()


def test_the_child_has_pipes_and_signals_as_a_shell_gives_them(tmp_path: Path) -> None:
    show = (
        "import signal; print(signal.getsignal(signal.SIGPIPE) is not None,"
        "signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    status = "grep -E 'SigBlk|SigIgn' /proc/self/status"
    with world(tmp_path) as w:
        assert run(w, sys.executable, "-c", show)[1].endswith("set()\n")
        _, blocked, _, ignored = run(w, "sh", "-c", status)[1].split()
        assert int(blocked, 16) == 0
        # Those above 31 are the C library's own; its posix_spawn leaves two of them ignored.
        assert int(ignored, 16) & 0x7FFFFFFF == 0


@pytest.mark.slow
def test_a_session_that_is_over_starts_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        now = int(time.time())
        w.token_file.write_text(w.oci.issue_token(w.logins[0], iat=now - 60, exp=now - 1))
        marker = tmp_path / "started"
        ran = w.run("exec", "--session-wait", "0", "--", "touch", str(marker))
        assert ran.code == 75
        assert "session has expired" in ran.err
        assert not marker.exists()


@pytest.mark.slow
def test_what_goes_wrong_underneath_is_said_on_stderr_only(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        now = int(time.time())
        w.token_file.write_text(w.oci.issue_token(w.logins[0], iat=now - 400, exp=now + 300))
        w.oci.configure(refresh_outage="500")
        ran = w.run("exec", "--", "sh", "-c", "sleep 3; echo done")
        assert (ran.code, ran.out) == (0, "done\n")
        assert "renewing the session (refresh) failed" in ran.err


def test_a_secret_never_enters_the_childs_environment(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = w.run("exec", "--", "env")  # `finish` looks for every token and key in it
        assert ran.code == 0
        assert os.environ.get("OCI_CLI_AUTH") is None
