"""Ask the real service what no document answers: `python -m tools.live_probe --output FILE`.

It makes a scratch bucket, sends less than 200 MB in about five minutes, and removes the bucket,
also when it is interrupted. It says what it will do and asks first, unless `--yes`. The answers
have no personal values; `ocihaul emulator --like FILE` behaves as they say.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ocihaul.client import Client
from ocihaul.config import SDK_AUTH, Flags, Settings, resolve
from ocihaul.emulator.settings import settings_like
from ocihaul.endpoints import Origin
from ocihaul.errors import OcihaulError, UsageError
from ocihaul.printing import say, say_text
from ocihaul.session.session import dialer_for, home_directory, open_api_key
from ocihaul.transport.pool import Pool
from tools.live_probe.probe import GROUPS, SESSION, Findings, run
from tools.live_probe.scratch import PREFIX, new_name, remove_bucket, scratch_bucket
from tools.live_probe.storage_questions import Bucket
from tools.live_probe.wire import Wire


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.live_probe", description=(__doc__ or "").split("\n", 1)[0]
    )
    add = parser.add_argument
    add("--profile", help="of the config file [as ocihaul finds it]")
    add("--config-file")
    add("--auth", choices=["security_token", "api_key"], help="[as ocihaul finds it]")
    add("--region")
    add("--endpoint", help="of Object Storage, such as an emulator's")
    add("--auth-endpoint", help="of the auth service")
    add("--cert-bundle", help="certificates to trust, PEM")
    add("--compartment-id", help="where the scratch bucket is made [the tenancy]")
    add("--output", type=Path, help="gets the answers as JSON [stdout]")
    add("--only", action="append", choices=[group.name for group in GROUPS], help="may be repeated")
    add(
        "--no-refresh",
        action="store_true",
        help="leave the session as it is: a refresh may end its present token for other programs",
    )
    add(
        "--watch",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="how long the token before the refresh is watched [120]",
    )
    add(
        "--patience",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="after which silence is an answer [5]",
    )
    add("--yes", action="store_true", help="do not ask")
    add(
        "--remove", metavar="BUCKET", help="only remove the scratch bucket of a run that was killed"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 when all was found out, 3 when some was not, 1 on an error, 130 when interrupted."""
    options = _parser().parse_args(argv)
    try:
        with _interruptible():
            return _main(options)
    except KeyboardInterrupt:
        say(sys.stderr, "interrupted")
        return 130
    except OcihaulError as error:
        say_text(sys.stderr, f"error: {error}")
        return 1


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP are interrupts, too, unless they are ignored: the bucket is removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGHUP] if hasattr(signal, "SIGHUP") else [signal.SIGTERM]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, interrupt)) for number in heard]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _settings(options: argparse.Namespace) -> Settings:
    flags = Flags(
        config_file=options.config_file,
        profile=options.profile,
        auth=options.auth,
        region=options.region,
        endpoint=options.endpoint,
        auth_endpoint=options.auth_endpoint,
        cert_bundle=options.cert_bundle,
    )
    settings = resolve(flags, os.environ, home_directory(), command=("os", "object", "put"))
    if settings.auth in SDK_AUTH:
        raise UsageError(f"auth: {settings.auth} (security_token or api_key)")
    return settings


def _main(options: argparse.Namespace) -> int:
    settings = _settings(options)
    with Client(settings) as client:
        if options.remove:
            if not options.remove.startswith(PREFIX):
                raise UsageError(f"--remove: {options.remove} (a name that begins with {PREFIX})")
            remove_bucket(client, options.remove, must_exist=True)
            return 0
        groups = [
            group.name for group in GROUPS if options.only is None or group.name in options.only
        ]
        if options.no_refresh:
            groups = [name for name in groups if name != SESSION]
        name = new_name()
        _say_plan(settings, name, groups)
        if not (options.yes or _agreed()):
            say(sys.stderr, "nothing was done")
            return 1
        findings = _ask(client, settings, options, name, groups)
    return 3 if findings.unanswered else 0


def _say_plan(settings: Settings, name: str, groups: Sequence[str]) -> None:
    lines = [
        f"As profile {settings.profile}, at {settings.object_storage_endpoint(None)}, this will"
    ]
    lines += [f"  make a bucket, {name}"]
    lines += [f"  {group.text}" for group in GROUPS if group.name in groups]
    lines += [
        "  remove the bucket and all that is in it",
        "It takes some minutes and less than 200 MB.",
    ]
    if SESSION in groups and settings.auth == "security_token":
        lines += [
            "The new token replaces the one on disk; other programs may have to read it again."
        ]
    say(sys.stderr, *lines)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UsageError("stdin is not a terminal, so nothing can be asked", hint="Give --yes.")
    say(sys.stderr, "Go on? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _ask(
    client: Client,
    settings: Settings,
    options: argparse.Namespace,
    name: str,
    groups: Sequence[str],
) -> Findings:
    session = client.session
    compartment = options.compartment_id or settings.tenancy
    if compartment is None and session is not None:
        compartment = session.token.tenancy
    if compartment is None:
        raise UsageError("the tenancy is not known", hint="Give --compartment-id.")
    namespace = client.namespace
    dialer = dialer_for(settings)
    with Pool(dialer) as pool:
        origin = Origin.parse(client.storage.base_url(namespace))
        wire = Wire(dialer, pool, origin, session or open_api_key(settings))
        bucket = Bucket(wire, namespace, name, options.patience)
        with scratch_bucket(client, name, compartment):
            findings = run(
                settings,
                bucket,
                watch=options.watch,
                groups=groups,
                tell=lambda text: say(sys.stderr, text),
                dialer=dialer,
            )
            _write(findings, options.output)
            say(sys.stderr, f"{wire.traffic:,} bytes of bodies; removing {name}")
    return findings


def _write(findings: Findings, output: Path | None) -> None:
    settings_like(findings.answers)  # a value that the emulator cannot be is a mistake of ours
    text = json.dumps(findings.document(), indent=2)
    if output is None:
        say_text(sys.stdout, text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        say_text(sys.stdout, text)
        raise UsageError(f"--output: {output}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
