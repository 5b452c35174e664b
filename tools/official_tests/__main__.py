"""Run the official CLI's own object storage tests against the emulator, with our command in place.

    python -m tools.official_tests CHECKOUT [--command PATH] [--suite NAME]... [-k EXPRESSION]

CHECKOUT is a clone of https://github.com/oracle/oci-cli; nothing of it is copied. Its tests need
the official CLI, pytest, vcrpy, six and mock: `make official-tests CHECKOUT=…` installs them into
a virtual environment of their own. Each suite gets an emulator of its own. The command is run as
a script would: a new process, stdout and stderr in one stream, stdin a pipe.

`--command` is the program to judge: ours, unless another is given, such as the official one of
that environment. `--in-process` leaves the official CLI in the process of its tests, with no
pipe between. What it prints ends with one line for each test that failed, with its reason.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocihaul.emulator import Emulator, Settings

_SUITES = Path("services/object_storage/tests/integ")
_PREFIX = "test_object_storage"
#: Tests of functions inside the official CLI, which no other command can have.
_INNER = {"retryable_operations"}
#: Seconds for one suite: the long ones send 400 MiB and start several hundred processes.
_PATIENCE = 3600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test; `reason` is empty where it passed."""

    suite: str
    test: str
    result: str
    reason: str


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suites and print the outcome; the exit status is 1 where a test failed."""
    options = _parser().parse_args(argv)
    checkout = options.checkout.resolve()
    suites = _chosen(checkout, options.suite)
    if not suites:
        sys.exit(f"no suite to run in {checkout / _SUITES}")
    options.log_dir.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for suite in suites:
        found = _run_suite(checkout, suite, options)
        outcomes += found
        print(_line(suite, found), flush=True)
    _print_failures(outcomes)
    print(_line("all", outcomes))
    print(f"each command and what it printed: {options.log_dir}")
    return int(any(each.result != "passed" for each in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools.official_tests", description=(__doc__ or "").split("\n", 1)[0]
    )
    add = parser.add_argument
    add("checkout", type=Path, help="a clone of oracle/oci-cli")
    here = Path(sys.executable).parent
    add("--command", type=Path, default=here / "ocihaul", help="the program to judge [ocihaul]")
    add(
        "--python",
        type=Path,
        default=here.parents[1] / ".venv-official" / "bin" / "python",
        help="the Python that has the official CLI, pytest and vcrpy [.venv-official]",
    )
    add("--suite", action="append", help="such as multipart; may be repeated [all]")
    add("--compat", action="store_true", help="set OCIHAUL_COMPAT=official for the command")
    add(
        "--in-process",
        action="store_true",
        help="no command: the official CLI in the process of its tests, as Oracle runs them",
    )
    add("-k", dest="expression", help="only tests that match, as in pytest")
    add(
        "--log-dir",
        type=Path,
        default=Path(tempfile.gettempdir()) / "official-tests",
        help="gets the commands and what they printed",
    )
    return parser


def _chosen(checkout: Path, wanted: Sequence[str] | None) -> list[str]:
    names = {path.stem.removeprefix(_PREFIX).lstrip("_") for path in _files(checkout)}
    names = {name or "object_storage" for name in names} - _INNER
    return sorted(names if wanted is None else names & set(wanted))


def _files(checkout: Path) -> list[Path]:
    return list((checkout / _SUITES).glob(f"{_PREFIX}*.py"))


def _run_suite(checkout: Path, suite: str, options: argparse.Namespace) -> list[Outcome]:
    """Run one suite in a directory of its own, as its tests write beside themselves."""
    stem = _PREFIX if suite == "object_storage" else f"{_PREFIX}_{suite}"
    report = options.log_dir / f"{suite}.outcomes"
    for old in (report, options.log_dir / f"{suite}.commands"):
        old.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="official-") as name, Emulator(Settings()) as oci:
        home = Path(name)
        oci.write_api_key_profile(home / ".oci", "DEFAULT")
        config = oci.write_api_key_profile(home / ".oci", "ADMIN")
        environment = _environment(home, config, oci)
        environment |= {
            "OFFICIAL_TESTS_COMMAND": str(options.command.absolute()),
            "OFFICIAL_TESTS_ENDPOINT": oci.endpoint,
            "OFFICIAL_TESTS_REPORT": str(report),
            "OFFICIAL_TESTS_LOG": str(options.log_dir / f"{suite}.commands"),
            "PYTHONPATH": os.pathsep.join(
                map(str, [Path(__file__).parent, checkout / "src", checkout])
            ),
        }
        if options.in_process:
            environment["OFFICIAL_TESTS_IN_PROCESS"] = "1"
        if options.compat:
            environment["OCIHAUL_COMPAT"] = "official"
        arguments = ["-m", "pytest", "-p", "pytest_plugin", "-q", "-rs"]
        arguments += ["-p", "no:cacheprovider", "--service", "os", "--tb=short"]
        arguments += ["--vcr-record-mode", "all", str(_SUITES / f"{stem}.py")]
        arguments += ["-k", options.expression] if options.expression else []
        with (options.log_dir / f"{suite}.pytest").open("wb") as log:
            subprocess.run(
                [str(options.python.absolute()), *arguments],
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=_PATIENCE,
            )
    return _outcomes(suite, report)


def _environment(home: Path, config: Path, oci: Emulator) -> dict[str, str]:
    """Ours, without what would lead the command elsewhere, and with what the tests ask for."""
    left_out = ("PROXY", "CA_BUNDLE", "SSL_CERT", "OCI_", "OCIHAUL_")
    kept = {k: v for k, v in os.environ.items() if not any(word in k.upper() for word in left_out)}
    key = home / ".oci" / "DEFAULT_public.pem"
    tenancy = "ocid1.tenancy.oc1..official"
    return {
        **kept,
        "HOME": str(home),
        "OCI_CLI_CONFIG_FILE": str(config),
        "OCI_CLI_NAMESPACE": oci.namespace,
        "OCI_CLI_USER_ID": "ocid1.user.oc1..official",
        "OCI_CLI_ADMIN_USER_ID": "ocid1.user.oc1..admin",
        "OCI_CLI_TENANT_ID": tenancy,
        "OCI_CLI_COMPARTMENT_ID": "ocid1.compartment.oc1..first",
        "OCI_CLI_COMPARTMENT_NAME": "first",
        "OCI_CLI_MOVE_BUCKET_TO_COMPARTMENT_ID": "ocid1.compartment.oc1..second",
        "OCI_CLI_PUBLIC_SSH_KEY_FILE": str(key),
        "OCI_CLI_PUBLIC_SSH_KEY_FINGERPRINT": "00:00",
        "OCI_CLI_SUPPRESS_FILE_PERMISSIONS_WARNING": "True",
        "CLI_TESTS_ADMIN_PASS_PHRASE": "none: the key has no passphrase",
        "SUPPRESS_LABEL_WARNING": "True",
        "PYTHONWARNINGS": "ignore",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _outcomes(suite: str, report: Path) -> list[Outcome]:
    if not report.exists():
        return [Outcome(suite, "(collection)", "failed", "the suite could not be loaded")]
    found: dict[str, Outcome] = {}
    for line in report.read_text().splitlines():
        told = json.loads(line)
        outcome = Outcome(suite, told["test"], told["result"], told["reason"])
        # A test that failed is told once, whatever its clean-up says afterwards.
        if found.get(outcome.test, outcome).result != "failed" or outcome.test not in found:
            found[outcome.test] = outcome
    return list(found.values())


def _line(name: str, outcomes: Sequence[Outcome]) -> str:
    tried = [each for each in outcomes if each.result != "skipped"]
    passed = sum(each.result == "passed" for each in tried)
    return f"{name:24}{passed:4} of {len(tried):4}"


def _print_failures(outcomes: Sequence[Outcome]) -> None:
    failures = [each for each in outcomes if each.result == "failed"]
    for each in failures:
        print(f"FAILED {each.suite}: {each.test}\n       {each.reason}")


if __name__ == "__main__":
    sys.exit(main())
