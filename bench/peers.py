"""Command lines: ours, the official CLI's, rclone's and the limit's, for the same work."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.ground import MIB, ROOT, Ground
from bench.service import NAMESPACE

OURS = "ocihaul"
STOCK = "official CLI"
RCLONE = "rclone"
RAW = "raw limit"
SENDFILE = "raw sendfile"
MD5 = "bare MD5"
SIGNING = "bare signatures"

_COMPARTMENT = "ocid1.compartment.oc1..bench"


@dataclass(frozen=True)
class Programs:
    """Where the programs are; None for one that is not to be had.

    `beside` has other versions of ocihaul by the names of their rows.
    """

    ocihaul: Path
    official: Path | None = None
    rclone: Path | None = None
    beside: tuple[tuple[str, Path], ...] = ()

    def each_ocihaul(self) -> Iterator[tuple[str, "Programs"]]:
        """The versions of ocihaul that are measured, each in the place of the first."""
        yield OURS, self
        for name, command in self.beside:
            yield name, replace(self, ocihaul=command)


def named_command(text: str) -> tuple[str, Path]:
    """`NAME=COMMAND` of `--beside`. Raises argparse.ArgumentTypeError."""
    name, equals, path = text.partition("=")
    if not (name and equals and Path(path).is_file()):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COMMAND, a program that is there")
    return name, Path(path).absolute()


@dataclass(frozen=True)
class Command:
    """A command line and what its environment has beyond `Ground.environ`."""

    argv: tuple[str, ...]
    environ: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """What to move, and how. `path` is the file or directory on this side; `part_size` in bytes.

    With `defaults` every program cuts and goes as it does by itself; `tries_again` leaves rclone's
    retries as they are.
    """

    path: Path
    bucket: str
    name: str = ""
    scheme: str = "http"
    part_size: int = 128 * MIB
    parallel: int = 15
    verify: bool = False
    defaults: bool = False
    tries_again: bool = False


def ocihaul(ground: Ground, programs: Programs, what: str, job: Job) -> Command:
    """Ours; the flags are the official CLI's."""
    return Command(
        (str(programs.ocihaul), *_official_words(what, job), "--auth", "security_token"),
        (
            ("OCI_CLI_ENDPOINT", ground.endpoint(job.scheme)),
            ("OCIHAUL_AUTH_ENDPOINT", ground.endpoint(job.scheme)),
            ("OCI_CLI_CERT_BUNDLE", str(ground.ca_file)),
        ),
    )


def official(ground: Ground, programs: Programs, what: str, job: Job) -> Command:
    """The official CLI, with the same words."""
    words = (*_official_words(what, job), "--auth", "security_token")
    endpoint = ("--endpoint", ground.endpoint(job.scheme), "--cert-bundle", str(ground.ca_file))
    return Command((str(programs.official), *words, *endpoint))


def _official_words(what: str, job: Job) -> tuple[str, ...]:
    where = ("--namespace", NAMESPACE, "--bucket-name", job.bucket)
    part = job.part_size // MIB
    match what:
        case "put":
            return (
                *("os", "object", "put", *where, "--file", str(job.path), "--name", job.name),
                "--force",
                *_flags(job, **{"part-size": part, "parallel-upload-count": job.parallel}),
                *(("--verify-checksum",) if job.verify else ()),
            )
        case "get":
            return (
                *("os", "object", "get", *where, "--file", str(job.path), "--name", job.name),
                *_flags(job, **{"part-size": part, "parallel-download-count": job.parallel}),
            )
        case "bulk-upload":
            return (
                *("os", "object", "bulk-upload", *where, "--src-dir", str(job.path)),
                "--overwrite",
                *_flags(job, **{"parallel-upload-count": job.parallel}),
            )
        case "bulk-download":
            return (
                *("os", "object", "bulk-download", *where, "--download-dir", str(job.path)),
                "--overwrite",
                *_flags(job, **{"parallel-operations-count": job.parallel}),
            )
        case "sync":
            return (
                *("os", "object", "sync", *where, "--src-dir", str(job.path)),
                *_flags(job, **{"parallel-operations-count": job.parallel}),
            )
    raise ValueError(what)


def _flags(job: Job, **values: object) -> tuple[str, ...]:
    """Flags that a program's own defaults make unnecessary."""
    if job.defaults:
        return ()
    return tuple(word for name, value in values.items() for word in (f"--{name}", str(value)))


def rclone(ground: Ground, programs: Programs, what: str, job: Job) -> Command:
    """rclone, with an API key."""
    there = f"oos:{job.bucket}/{job.name}"
    part = f"{job.part_size}B"
    words = {
        "put": ("copyto", str(job.path), there),
        "get": ("copyto", there, str(job.path)),
        "bulk-upload": ("copy", str(job.path), there, "--ignore-times"),
        "bulk-download": ("copy", there, str(job.path), "--ignore-times"),
        "sync": ("sync", str(job.path), there),
    }[what]
    flags = (
        *_flags(
            job,
            **{
                "transfers": job.parallel,
                "oos-upload-concurrency": job.parallel,
                "multi-thread-streams": job.parallel,
                "oos-chunk-size": part,
                "oos-upload-cutoff": part,
                "multi-thread-cutoff": part,
                "multi-thread-chunk-size": part,
            },
        ),
        "--oos-no-check-bucket",
        *(() if job.tries_again else ("--retries", "1", "--low-level-retries", "1")),
        *("--ca-cert", str(ground.ca_file)),
    )
    settings = {
        "TYPE": "oracleobjectstorage",
        "PROVIDER": "user_principal_auth",
        "NAMESPACE": NAMESPACE,
        "COMPARTMENT": _COMPARTMENT,
        "REGION": "eu-frankfurt-1",
        "ENDPOINT": ground.endpoint(job.scheme),
        "CONFIG_FILE": str(ground.config),
        "CONFIG_PROFILE": "APIKEY",
    }
    environ = {f"RCLONE_CONFIG_OOS_{name}": value for name, value in settings.items()}
    environ["RCLONE_CONFIG"] = str(ground.home / "rclone.conf")
    return Command((str(programs.rclone), *words, *flags), tuple(environ.items()))


def raw(ground: Ground, mode: str, job: Job) -> Command:
    """The limit; see `raw.py` for the modes."""
    script = str(ROOT / "bench" / "raw.py")
    return Command(
        (
            *(sys.executable, "-I", script, mode, str(job.path)),
            *("--endpoint", ground.endpoint(job.scheme), "--ca-file", str(ground.ca_file)),
            *("--bucket", job.bucket, "--name", job.name),
            *("--part-size", str(job.part_size), "--parallel", str(job.parallel)),
        )
    )


def signing(ground: Ground, count: int) -> Command:
    """The RSA signatures that so many requests need."""
    script = str(ROOT / "bench" / "signatures.py")
    key = str(ground.home / "oci" / "key.pem")
    return Command((sys.executable, "-I", script, key, str(count)))


def help_of(programs: Programs, words: Sequence[str]) -> Command:
    """Asks whether ocihaul has a command of its own."""
    return Command((str(programs.ocihaul), *words, "--help"))
