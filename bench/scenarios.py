"""What is measured: for each scenario the commands to compare, and how to tell that each worked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import crc32c

from bench import peers
from bench.ground import GIB, LONG_LIFE, MIB, Ground, crc_of
from bench.peers import Command, Job, Programs
from bench.probe import measure
from bench.service import MD5_BUCKET, READABLE, TINY

#: Says what is wrong with what a command has left behind; None when all is well.
Check = Callable[[], str | None]
MakeCommand = Callable[[Job], Command]

_BUCKET = "backups"
_NAME = "object"
_LEAST_PART = 10 * MIB  # the service's limit
_LEAST_STOCK_RANGE = 128 * MIB  # below it the official CLI refuses
_SHORT_LIFE = 2.0  # seconds: ocihaul renews at half of it


@dataclass(frozen=True)
class Run:
    """One command, and the check of what it did."""

    command: Command
    check: Check
    life: float = LONG_LIFE


@dataclass(frozen=True)
class Case:
    """One row of a table. `amount` is in the scenario's unit; `start` does the same to one byte."""

    peer: str
    whole: Run
    amount: float
    start: Run | None = None
    source_size: int = 0


@dataclass(frozen=True)
class Scenario:
    """One table. Ratios are to the case of `limit`."""

    name: str
    title: str
    unit: str
    cases: tuple[Case, ...]
    limit: str | None = None


@dataclass(frozen=True)
class Scale:
    """How large: bytes and counts."""

    part_size: int = 128 * MIB
    parallel: int = 15
    files: int = 10_000
    file_size: int = 16 * 1024
    many_parts: int = 1_500
    renewal_size: int = 4 * GIB


def everything(
    ground: Ground, programs: Programs, scale: Scale
) -> dict[str, Callable[[], Scenario]]:
    """All scenarios by name, in the order of the tables; each is made when it is called."""
    made: dict[str, Callable[[], Scenario]] = {}
    for scheme in _SCHEMES:
        made[f"upload-{scheme}"] = partial(upload, ground, programs, scale, scheme)
    for scheme in _SCHEMES:
        made[f"upload-{scheme}-verify"] = partial(
            upload, ground, programs, scale, scheme, verify=True
        )
    for scheme in _SCHEMES:
        made[f"download-{scheme}"] = partial(download, ground, programs, scale, scheme)
    for what in ("bulk-upload", "sync"):
        made[what] = partial(many_files, ground, programs, scale, what)
    made["part-count"] = partial(part_count, ground, programs, scale)
    made["renewal"] = partial(renewal, ground, programs, scale)
    made["start"] = partial(starting, programs)
    return made


_SCHEMES = {"http": "plain HTTP", "https": "TLS"}


def upload(
    ground: Ground, programs: Programs, scale: Scale, scheme: str, *, verify: bool = False
) -> Scenario:
    """One large file, in parts."""
    job = Job(
        path=ground.source,
        bucket=MD5_BUCKET if verify else _BUCKET,
        name=_NAME,
        scheme=scheme,
        part_size=scale.part_size,
        parallel=scale.parallel,
        verify=verify,
    )
    tiny = replace(job, path=ground.file(1))

    def case(peer: str, command: MakeCommand) -> Case:
        return Case(
            peer=peer,
            whole=Run(command(job), uploaded(ground, job)),
            amount=ground.size / GIB,
            start=Run(command(tiny), uploaded(ground, tiny)),
            source_size=ground.size,
        )

    cases = [
        *_clients(ground, programs, "put", case),
        case(peers.RAW, lambda job: peers.raw(ground, "map", job)),
    ]
    if scheme == "http":
        cases.append(case(peers.SENDFILE, lambda job: peers.raw(ground, "file", job)))
    if verify:
        whole, start = (Run(peers.raw(ground, "md5", one), _nothing) for one in (job, tiny))
        cases.append(Case(peers.MD5, whole, ground.size / GIB, start, ground.size))
    flag = " with --verify-checksum" if verify else ""
    return Scenario(
        name=f"upload-{scheme}" + ("-verify" if verify else ""),
        title=f"Upload{flag}, {_SCHEMES[scheme]}",
        unit="GiB",
        cases=tuple(cases),
        limit=peers.RAW,
    )


def download(ground: Ground, programs: Programs, scale: Scale, scheme: str) -> Scenario:
    """One large object to a file, in ranges."""
    job = Job(
        path=ground.home / "fetched" / "file",
        bucket=READABLE,
        name=READABLE,
        scheme=scheme,
        part_size=max(scale.part_size, _LEAST_STOCK_RANGE),
        parallel=scale.parallel,
    )
    tiny = replace(job, name=TINY)
    with ground.source.open("rb") as file:
        first = crc32c.crc32c(file.read(1))

    def case(peer: str, command: MakeCommand) -> Case:
        return Case(
            peer=peer,
            whole=Run(command(job), downloaded(job.path, ground.size, ground.crc32c)),
            amount=ground.size / GIB,
            start=Run(command(tiny), downloaded(job.path, 1, first)),
        )

    cases = [
        *_clients(ground, programs, "get", case),
        case(peers.RAW, lambda job: peers.raw(ground, "get", job)),
    ]
    title = f"Download to a file, {_SCHEMES[scheme]}"
    return Scenario(f"download-{scheme}", title, "GiB", tuple(cases), peers.RAW)


def many_files(ground: Ground, programs: Programs, scale: Scale, what: str) -> Scenario:
    """A tree of small files, over plain HTTP."""
    tree, one = ground.tree(scale.files, scale.file_size), ground.tree(1, scale.file_size)
    job = Job(tree, _BUCKET, parallel=scale.parallel)
    alone = replace(job, path=one)

    def case(peer: str, command: MakeCommand) -> Case:
        return Case(
            peer=peer,
            whole=Run(command(job), all_there(ground, tree)),
            amount=scale.files,
            start=Run(command(alone), all_there(ground, one)),
        )

    whole, start = (Run(peers.signing(ground, count), _nothing) for count in (scale.files, 1))
    cases = [
        *_clients(ground, programs, what, case),
        Case(peers.SIGNING, whole, scale.files, start),
    ]
    title = f"{scale.files:,} files of {scale.file_size // 1024} KiB by {what}, plain HTTP"
    return Scenario(what, title, "file", tuple(cases), limit=peers.SIGNING)


def part_count(ground: Ground, programs: Programs, scale: Scale) -> Scenario:
    """The same file in few large parts and in many small ones."""
    size = scale.many_parts * _LEAST_PART
    source = ground.file(size)
    crc = crc_of(source)
    few = 15

    def case(name: str, each: Programs, count: int) -> Case:
        part_size = -(-size // count // MIB) * MIB
        job = Job(source, _BUCKET, _NAME, part_size=part_size, parallel=scale.parallel)
        tiny = replace(job, path=ground.file(1))
        return Case(
            peer=_row(name, f"{count:,} parts"),
            whole=Run(peers.ocihaul(ground, each, "put", job), uploaded(ground, job, (size, crc))),
            amount=size / GIB,
            start=Run(peers.ocihaul(ground, each, "put", tiny), uploaded(ground, tiny)),
            source_size=size,
        )

    cases = tuple(
        case(name, each, count)
        for name, each in programs.each_ocihaul()
        for count in (scale.many_parts, few)
    )
    title = f"ocihaul: {size // MIB:,} MiB in many parts and in few, plain HTTP"
    return Scenario("part-count", title, "GiB", cases, limit=f"{few} parts")


def renewal(ground: Ground, programs: Programs, scale: Scale) -> Scenario:
    """The same upload on one token, and with a renewal every second."""
    source = ground.file(scale.renewal_size)
    job = Job(source, _BUCKET, _NAME, part_size=scale.part_size, parallel=scale.parallel)
    crc = crc_of(source)
    whole_there = uploaded(ground, job, (scale.renewal_size, crc))
    before = ground.counters()["renewals"]

    def renewed() -> str | None:
        nonlocal before
        since, before = before, ground.counters()["renewals"]
        return whole_there() or (None if before > since else "no renewal happened: too short a run")

    tiny = replace(job, path=ground.file(1))
    amount, size = scale.renewal_size / GIB, scale.renewal_size
    cases: list[Case] = []
    for name, each in programs.each_ocihaul():
        command = peers.ocihaul(ground, each, "put", job)
        start = Run(peers.ocihaul(ground, each, "put", tiny), uploaded(ground, tiny))
        short, long = Run(command, renewed, _SHORT_LIFE), Run(command, whole_there)
        cases.append(Case(_row(name, "a renewal every second"), short, amount, start, size))
        cases.append(Case(_row(name, "one token"), long, amount, start, size))
    title = f"ocihaul: {scale.renewal_size // MIB:,} MiB with renewals and without, plain HTTP"
    return Scenario("renewal", title, "GiB", tuple(cases), limit="one token")


def starting(programs: Programs) -> Scenario:
    """Commands that do next to nothing."""

    def case(peer: str, *argv: object) -> Case:
        return Case(peer, Run(Command(tuple(map(str, argv))), _nothing), 1)

    cases: list[Case] = []
    for name, each in programs.each_ocihaul():
        python = each.ocihaul.with_name("python")
        cases += [
            case(f"{name} --version", each.ocihaul, "--version"),
            case(f"{name} session status", each.ocihaul, "session", "status"),
            case(_row(name, "python -c 'import ocihaul'"), python, "-c", "import ocihaul"),
        ]
    cases.append(case("python -c pass", programs.ocihaul.with_name("python"), "-c", "pass"))
    if programs.official is not None:
        cases.append(case("oci --version", programs.official, "--version"))
    if programs.rclone is not None:
        cases.append(case("rclone version", programs.rclone, "version"))
    return Scenario("start", "Start-up and import", "run", tuple(cases))


def _clients(
    ground: Ground,
    programs: Programs,
    what: str,
    case: Callable[[str, MakeCommand], Case],
) -> list[Case]:
    """The rows of the programs that people use."""
    rows = []
    for name, each in programs.each_ocihaul():
        if _is_ours(ground, each, what):
            rows.append(case(name, partial(peers.ocihaul, ground, each, what)))
    if programs.official is not None:
        rows.append(case(peers.STOCK, lambda job: peers.official(ground, programs, what, job)))
    if programs.rclone is not None:
        rows.append(case(peers.RCLONE, lambda job: peers.rclone(ground, programs, what, job)))
    return rows


def _row(name: str, what: str) -> str:
    """What is measured, with the version where that is not ours."""
    return what if name == peers.OURS else f"{name}: {what}"


def _is_ours(ground: Ground, programs: Programs, what: str) -> bool:
    """Whether this ocihaul has the command at all; its row is missing where it has not."""
    return measure(ground, peers.help_of(programs, ("os", "object", what))).trouble is None


# Checks


def _nothing() -> str | None:
    return None


def uploaded(ground: Ground, job: Job, expected: tuple[int, int] | None = None) -> Check:
    """The sink has the object, with the size and CRC32C (`expected`) of the file."""
    if expected is None:
        expected = ground.size, ground.crc32c
        if job.path != ground.source:
            expected = job.path.stat().st_size, crc_of(job.path)

    def check() -> str | None:
        arrived = ground.arrived(job.bucket, job.name)
        if arrived is None:
            return "the sink has no such object"
        if (arrived.size, arrived.crc32c) != expected:
            return f"the sink has {arrived.size} bytes, or other ones than were sent"
        return None

    return check


def downloaded(path: Path, size: int, crc: int) -> Check:
    """The file is there, with this size and CRC32C."""

    def check() -> str | None:
        if not path.exists():
            return "no file was written"
        same = path.stat().st_size == size and crc_of(path) == crc
        return None if same else f"{path.stat().st_size} bytes were written, or other ones"

    return check


def all_there(ground: Ground, tree: Path) -> Check:
    """The sink has an object for each file of a directory, with its bytes."""
    files = [path for path in tree.rglob("*") if path.is_file()]
    expected = sorted((crc_of(path), path.stat().st_size) for path in files)

    def check() -> str | None:
        arrived = sorted((one.crc32c, one.size) for one in ground.all_arrived())
        whole = f"{len(arrived)} of {len(expected)} files arrived, or other bytes"
        return None if arrived == expected else whole

    return check
