"""A pytest plugin that puts another command in the place of the official CLI's.

It runs in the environment of the official CLI's tests, which call the command in-process through
click's CliRunner, and record or replay what goes over the wire: here each call becomes a process
(unless the official CLI itself is to be judged in-process), and recordings are left alone. It
imports nothing of ocihaul.
"""

import contextlib
import importlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

_COMMAND = os.environ["OFFICIAL_TESTS_COMMAND"]
_ENDPOINT = os.environ["OFFICIAL_TESTS_ENDPOINT"]
_REPORT = Path(os.environ["OFFICIAL_TESTS_REPORT"])
_LOG = Path(os.environ["OFFICIAL_TESTS_LOG"])
#: Leave the official CLI where it is, in this process: only its endpoint is another.
_IN_PROCESS = "OFFICIAL_TESTS_IN_PROCESS" in os.environ
_TIMEOUT = 300.0
#: More than a page of 20 that a test wants to see full.
_BUCKETS = 25
#: More than a test asks.
_ANSWERS = 2000
#: Names that the command must not see: the tests' own environment is no part of what is judged.
_HIDDEN = ("PYTHONPATH", "OFFICIAL_TESTS_")

_last: list[str] = []


class _NoCassettes:
    """In the place of a recorder: what goes over the wire goes over it."""

    def use_cassette(self, *_: object, **__: object) -> Any:
        return contextlib.nullcontext()


class _Result:
    """The outcome of a command with the arguments of click 8.1: the tests make such ones, too."""

    def __init__(  # noqa: PLR0917  as click's
        self,
        runner: Any,
        stdout_bytes: bytes,
        stderr_bytes: bytes | None,
        return_value: Any,
        exit_code: int,
        exception: BaseException | None,
        exc_info: Any = None,
        output_bytes: bytes | None = None,
    ) -> None:
        # click 8.2 tells both streams, as they came, beside each of them.
        if output_bytes is not None:
            stdout_bytes = output_bytes
        self.runner, self.stdout_bytes, self.stderr_bytes = runner, stdout_bytes, stderr_bytes
        self.return_value, self.exit_code = return_value, exit_code
        self.exception, self.exc_info = exception, exc_info

    @property
    def output(self) -> str:
        """Both streams, as they came."""
        return self.stdout_bytes.decode(errors="replace").replace("\r\n", "\n")

    stdout = output


@pytest.hookimpl(trylast=True)
def pytest_configure(config: Any) -> None:  # noqa: ARG001  the hook's signature
    """Replace the recorder, the SDK's endpoint and the call of the command."""
    container = _module("tests.test_config_container")
    container.create_vcr = lambda **_: _NoCassettes()
    storage = _module("oci.object_storage").ObjectStorageClient
    made = storage.__init__

    def at_the_emulator(self: Any, config: Any, **given: Any) -> None:
        given.setdefault("service_endpoint", _ENDPOINT)
        made(self, config, **given)

    storage.__init__ = at_the_emulator
    official, testing = _module("oci_cli").cli, _module("click.testing")
    inner, click = testing.CliRunner.invoke, _module("click")
    question = id(click.confirm)

    def invoke(self: Any, cli: Any, args: Any = None, input: Any = None, **given: Any) -> Any:  # noqa: A002
        if cli is not official:
            return inner(self, cli, args, input, **given)
        words, typed = list(args or ()), input
        if _IN_PROCESS:
            done = inner(self, cli, ["--endpoint", _ENDPOINT, *words], input=typed, **given)
            _log(f"$ {' '.join(map(str, words))}\n{done.output}[exit {done.exit_code}]")
            return done
        if id(click.confirm) != question:  # a test has put the answer in its place
            typed = ("y\n" if bool(click.confirm("")) else "n\n") * _ANSWERS
        return _run(self, words, typed)

    testing.CliRunner.invoke = invoke
    testing.Result = _Result


def _module(name: str) -> Any:
    """A module of the official CLI's environment, which ours does not have."""
    return importlib.import_module(name)


def _run(runner: Any, args: list[Any], typed: Any) -> Any:
    """Run the command as a script would; its outcome as click tells it."""
    odd = [word for word in args if not isinstance(word, str)]
    if odd:  # click takes text only: in their own runs such a call ends before the command begins
        error = TypeError(f"not a text: {odd[0]!r}")
        _log(f"$ {' '.join(map(str, args))}\n[not run: {error}]")
        return _Result(runner, b"", None, None, 1, error)
    if hasattr(typed, "read"):
        typed = typed.read()
    data = typed.encode() if isinstance(typed, str) else typed or b""
    hidden = {k: v for k, v in os.environ.items() if not k.startswith(_HIDDEN)}
    began = time.monotonic()
    done = subprocess.run(
        [_COMMAND, "--endpoint", _ENDPOINT, *args],
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=hidden,
        check=False,
        timeout=_TIMEOUT,
    )
    output = done.stdout.decode(errors="replace")
    text = f"$ {' '.join(args)}\n{output}[exit {done.returncode}, {time.monotonic() - began:.1f} s]"
    _log(text)
    ended = SystemExit(done.returncode) if done.returncode else None
    return _Result(runner, done.stdout, None, None, done.returncode, ended)


def _log(text: str) -> None:
    _last.append(text)
    with _LOG.open("a", encoding="utf-8") as log:
        log.write(text + "\n")


def pytest_collection_finish(session: Any) -> None:
    """Say which profile and region the tests are for; some suites forget to ask."""
    util = _module("tests.util")
    profile = session.config.getoption("--config-profile")
    util.target_config_profile = profile
    util.target_region = util.PROFILE_TO_REGION[profile]
    _make_buckets(session.config, util)


def _make_buckets(config: Any, util: Any) -> None:
    """Make the buckets that the tests expect in a tenancy that has been in use for long."""
    oci = _module("oci")
    profile = oci.config.from_file(
        os.environ["OCI_CLI_CONFIG_FILE"], config.getoption("--config-profile")
    )
    client = oci.object_storage.ObjectStorageClient(profile)
    for number in range(_BUCKETS):
        details = oci.object_storage.models.CreateBucketDetails(
            name=f"standing-{number:02}", compartment_id=util.COMPARTMENT_ID
        )
        client.create_bucket(util.NAMESPACE, details)


def pytest_runtest_setup(item: Any) -> None:
    """Mark in the log where a test begins."""
    _last.clear()
    with _LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n=== {item.name}\n")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Any:  # noqa: ARG001  the hook's signature
    """Write one line for each test: what became of it, and why."""
    report = (yield).get_result()
    if report.when != "call" and report.outcome == "passed":
        return
    # A test that passed and did not clean up is told as failed.
    result = "failed" if report.when == "teardown" else report.outcome
    told = {"test": item.name, "result": result, "reason": _reason(report)}
    with _REPORT.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(told) + "\n")


def _reason(report: Any) -> str:
    if report.outcome != "failed":
        return ""
    crash = getattr(report.longrepr, "reprcrash", None)
    first = crash.message.split("\n", 1)[0] if crash is not None else str(report.longrepr)[-200:]
    where = f" ({Path(crash.path).name}:{crash.lineno})" if crash is not None else ""
    command = _last[-1].split("\n", 1)[0] if _last else ""
    return f"{report.when}: {first[:200]}{where}; after {command[:200]}"
