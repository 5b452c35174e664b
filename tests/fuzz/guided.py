"""The same parsers, led by coverage: `python -m tests.fuzz.guided [-seconds=N] [NAME …]`.

Needs atheris, which is no requirement of the project (`make test-fuzz-guided`). Each parser gets
its share of time in a process of its own, because libFuzzer ends the process that it runs in. The
exit status is 1 when one of them has found something; the input is then printed as Python.
"""

import importlib
import importlib.util
import subprocess
import sys

from hypothesis import HealthCheck, given, settings

from tests.fuzz.target import Target

#: Seconds for each parser.
SECONDS = 60


def fuzz(target: Target, seconds: int) -> None:
    """Run one parser; does not return."""
    atheris = importlib.import_module("atheris")

    @settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value: object) -> None:
        target.check(value)

    # hypothesis makes an input of the fuzzer's bytes: one table of strategies for both.
    one = check.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # set by @given
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096", "-verbosity=0"], one)
    atheris.Fuzz()


def main(args: list[str]) -> int:
    """Run those that are named, or all; returns the exit status."""
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("atheris is not installed: nothing is run\n")
        return 0
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ocihaul"]):
        table = importlib.import_module("tests.fuzz.table").TARGETS
    given_seconds = [arg for arg in args if arg.startswith("-seconds=")]
    seconds = int(given_seconds[-1].partition("=")[2]) if given_seconds else SECONDS
    names = [arg for arg in args if not arg.startswith("-")]
    if len(names) == 1:
        fuzz(table[names[0]], seconds)
    failed = []
    for name in names or table:
        command = [sys.executable, "-m", "tests.fuzz.guided", f"-seconds={seconds}", name]
        sys.stderr.write(f"{name}\n")
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    sys.stderr.write(
        f"{len(names or table)} parsers, {seconds} s each; found: {failed or 'none'}\n"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
