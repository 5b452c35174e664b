"""The same parsers, led by coverage: `python -m tests.fuzz.guided [-seconds=N] [NAME …]`.

Needs atheris, which is no requirement of the project (`make test-fuzz-guided`). Each parser gets
its share of time in a process of its own, because libFuzzer ends the process that it runs in. The
exit status is 1 when one of them has found something; the input is then printed as Python.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.fuzz.target import Target

#: Seconds for each parser.
SECONDS = 60


def fuzz(name: str, seconds: int) -> None:
    """Run one parser; does not return."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ocihaul"]):
        target: Target = importlib.import_module("tests.fuzz.table").TARGETS[name]

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value: object) -> None:
        target.check(value)

    # hypothesis makes an input of the fuzzer's bytes: one table of strategies for both. It needs
    # a few hundred of them, to which the fuzzer would come late by itself.
    one = check.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # set by @given
    with tempfile.TemporaryDirectory() as corpus:
        for number in range(32):
            Path(corpus, str(number)).write_bytes(os.urandom(1024))
        options = (f"-max_total_time={seconds}", "-max_len=4096", "-len_control=0", "-verbosity=1")
        atheris.Setup([sys.argv[0], *options, corpus], one)
        atheris.Fuzz()


def main(args: list[str]) -> int:
    """Run those that are named, or all; returns the exit status."""
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: nothing is run\n")
        return 0
    given_seconds = [arg for arg in args if arg.startswith("-seconds=")]
    seconds = int(given_seconds[-1].partition("=")[2]) if given_seconds else SECONDS
    names = [arg for arg in args if not arg.startswith("-")]
    if len(names) == 1:
        fuzz(names[0], seconds)
    names = names or list(importlib.import_module("tests.fuzz.table").TARGETS)
    failed = []
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz.guided", f"-seconds={seconds}", name]
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        done = [line for line in ran.stderr.splitlines() if line.startswith("Done ")]
        sys.stderr.write(f"{name}: {' '.join(done) or 'ended early'}\n")
        if ran.returncode:
            failed.append(name)
            sys.stderr.write(ran.stdout + ran.stderr)
    sys.stderr.write(f"{len(names)} parsers, {seconds} s each; found: {failed or 'none'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
