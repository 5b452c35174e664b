"""The emulator as a program: prints where it is and what to paste, runs until interrupted."""

import argparse
import contextlib
import dataclasses
import json
import math
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ocihaul.emulator.emulator import Emulator
from ocihaul.emulator.log import LogEntry, as_json
from ocihaul.emulator.settings import GIB, MIB, AnswersError, Settings, read_answers

_LAST_PORT = 65_535
_UNITS = {"": 1, "K": 1024, "M": MIB, "G": GIB}


def size(text: str) -> float:
    """`5M` → bytes. Raises ValueError for what is no size above 0."""
    number = text.upper().removesuffix("B").removesuffix("I")
    unit = number[-1:] if number[-1:] in _UNITS else ""
    found = float(number.removesuffix(unit)) * _UNITS[unit]
    if not 0 < found < math.inf:
        raise ValueError(f"{text} is no size above 0")
    return found


def port(text: str) -> int:
    """A TCP port, 0 for one that the system chooses. Raises ValueError."""
    number = int(text)
    if not 0 <= number <= _LAST_PORT:
        raise ValueError(f"{text} is no port (0 to {_LAST_PORT})")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ocihaul emulator", description="A small OCI on this machine, to develop against."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    add("--port", type=port, default=0, help="default: the system chooses")
    add("--tls", action="store_true", help="HTTPS with a throw-away CA (needs ocihaul[emulator])")
    add(
        "--token-ttl",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="life of a token (default: 3600)",
    )
    add(
        "--session-ttl",
        type=float,
        default=86400.0,
        metavar="SECONDS",
        help="how long after the login tokens can be refreshed (default: 86400)",
    )
    add("--no-refresh-extends", action="store_true", help="refresh answers, exp does not move")
    add(
        "--refresh-kills-old-after",
        type=float,
        metavar="SECONDS",
        help="older tokens die so long after a refresh (default: at their own end)",
    )
    add(
        "--check-token-at",
        choices=["headers", "end"],
        default="headers",
        help="look at a token before a body, or after it as well (default: headers)",
    )
    add(
        "--bandwidth",
        type=size,
        metavar="BYTES/S",
        help="for all uploads together, such as 5M (default: no limit)",
    )
    add(
        "--continue-delay",
        type=float,
        metavar="SECONDS",
        help="send 100 Continue so late (default: at once)",
    )
    add("--ignore-expect", action="store_true", help="never send 100 Continue")
    add("--no-early-close", action="store_true", help="read the body before closing on an error")
    add(
        "--clock-offset",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="added to the service's clock (default: 0)",
    )
    add(
        "--checksums",
        choices=["declared", "always", "never"],
        default="declared",
        help="which come back beside the MD5: those that were declared, CRC32C always, none "
        "(default: declared)",
    )
    add(
        "--like",
        type=Path,
        metavar="FILE",
        help="behave as the service that `python -m tools.live_probe` asked; other options win",
    )
    add("--discard", action="store_true", help="hash bodies and forget them")
    add("--fast", action="store_true", help="compute no MD5")
    add("--data-dir", type=Path, help="keep bodies here (default: a temporary directory)")
    add("--namespace", default="ns1", help="default: ns1")
    add("--bucket", default="backups", help="the bucket that is there (default: backups)")
    add(
        "--profile-dir",
        type=Path,
        help="write config, key and token of a new session there, as the official CLI would",
    )
    add("--profile", default="DEFAULT", help="name of that profile (default: DEFAULT)")
    add("--region", help="region of that profile (default: eu-frankfurt-1)")
    add("--ready-file", type=Path, help="gets JSON with endpoint, ca_file, config when listening")
    add("--log-file", type=Path, help="gets one line of JSON for each request")
    return parser


def _settings(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Settings:
    """Those of the answers in `--like`, and over them what the other options say."""
    same = (
        "host port tls token_ttl session_ttl refresh_kills_old_after check_token_at bandwidth "
        "continue_delay ignore_expect clock_offset checksums discard fast data_dir namespace bucket"
    )
    given = {name: getattr(options, name) for name in same.split()}
    if options.no_refresh_extends:
        given["refresh_extends"] = False
    if options.no_early_close:
        given["early_close"] = False
    if options.like is not None:
        usual = {name for name in given if given[name] == parser.get_default(name)}
        given = {name: given[name] for name in given if name not in usual}
        return dataclasses.replace(Settings(**read_answers(options.like)), **given)
    return Settings(**given)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; exits with 2 where it cannot begin."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        return _run(options, _settings(options, parser))
    except AnswersError as error:
        parser.exit(2, f"{parser.prog}: --like {options.like}: {error}\n")
    except ModuleNotFoundError as error:
        cure = "pip install trustme"
        parser.exit(2, f"{parser.prog}: --tls needs the package {error.name}: {cure}\n")
    except OSError as error:
        parser.exit(2, f"{parser.prog}: {error}\nName another --port, address or path.\n")


def _run(options: argparse.Namespace, settings: Settings) -> int:
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(_stopped_by_signals())
        log_file: TextIO | None = None
        if options.log_file is not None:
            opened = options.log_file.open("a", encoding="utf-8", buffering=1)
            log_file = stack.enter_context(opened)

        def write(entry: LogEntry) -> None:
            if log_file is not None:
                log_file.write(as_json(entry) + "\n")

        emulator = stack.enter_context(Emulator(settings, on_request=write, keep_log=False))
        config = _profile(emulator, options)
        _announce(emulator, options, config)
        stop.wait()
    return 0


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set; afterwards they do what they did before."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _profile(emulator: Emulator, options: argparse.Namespace) -> Path | None:
    if options.profile_dir is None:
        return None
    region = options.region or (emulator.region_trick if options.tls else "eu-frankfurt-1")
    return emulator.write_profile(options.profile_dir, options.profile, region=region)


def _announce(emulator: Emulator, options: argparse.Namespace, config: Path | None) -> None:
    ready = {
        "endpoint": emulator.endpoint,
        "ca_file": str(emulator.ca_file) if emulator.ca_file else None,
        "config": str(config) if config else None,
        "namespace": emulator.namespace,
        "bucket": options.bucket,
    }
    if options.ready_file is not None:
        # By rename: what waits for the file must never see half of it.
        partial = options.ready_file.with_name(options.ready_file.name + ".part")
        partial.write_text(json.dumps(ready), encoding="utf-8")
        partial.replace(options.ready_file)
    lines = [f"listening on {emulator.endpoint}"]
    if emulator.ca_file:
        lines.append(f"export REQUESTS_CA_BUNDLE={emulator.ca_file}")
    if config:
        common = (
            f"--config-file {config} --profile {options.profile} --auth security_token "
            f"--endpoint {emulator.endpoint}"
        )
        place = f"-ns {emulator.namespace} -bn {options.bucket}"
        put = f"{common} os object put {place} --file FILE --force"
        refresh_at = f"OCIHAUL_AUTH_ENDPOINT={emulator.endpoint}"
        lines += [f"oci {put}", f"{refresh_at} ocihaul {put}"]
        if emulator.ca_file:
            lines.append(f"oci session refresh --config-file {config} --profile {options.profile}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
