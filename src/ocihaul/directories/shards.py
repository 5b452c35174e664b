"""Shards: N runs on N machines that know nothing of each other do every name once; pure.

A name belongs to shard `hash % N`, where the hash is the first 8 bytes of the SHA-256 of the
object's name in UTF-8, as a big-endian number. This never changes, so that machines with different
versions agree, and so that other programs can tell whose a name is.

Shards are counted from 0, as Kubernetes counts the pods of an indexed Job. Source:
https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode
The variables of a Slurm array: https://slurm.schedmd.com/job_array.html
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocihaul.errors import UsageError

#: What asks for the scheduler's own numbers.
AUTO = "auto"
#: The number of shards, for schedulers that tell only the index.
COUNT_VARIABLE = "OCIHAUL_SHARDS"
KUBERNETES_INDEX = "JOB_COMPLETION_INDEX"
SLURM_INDEX = "SLURM_ARRAY_TASK_ID"
#: More make no sense: each of them walks and lists everything.
MOST_SHARDS = 100_000

_HASHED = 8  # bytes
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_HOW = "Write I/N, with I from 0 to N - 1: 0/4, 1/4, 2/4 and 3/4 are four shards."


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `index` of `count`, counted from 0; `origin` says which variable it comes from.

    Raises UsageError for numbers that are none.
    """

    index: int
    count: int
    origin: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise UsageError(
                f"`shard`: {self.count} shards{self._by} (1 to {MOST_SHARDS:,})", hint=_HOW
            )
        if not 0 <= self.index < self.count:
            allowed = f"0 to {self.count - 1}: shards are counted from 0"
            raise UsageError(f"`shard`: {self.index}/{self.count}{self._by} ({allowed})", hint=_HOW)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def _by(self) -> str:
        return f" by {self.origin}" if self.origin else ""

    @property
    def is_whole(self) -> bool:
        """Whether it has all names."""
        return self.count == 1

    def holds(self, name: bytes) -> bool:
        """Whether the object of this name, in UTF-8, is this shard's to do."""
        if self.count == 1:
            return True
        digest = hashlib.sha256(name, usedforsecurity=False).digest()
        return int.from_bytes(digest[:_HASHED], "big") % self.count == self.index

    def facts(self) -> dict[str, str]:
        """What makes its run another one than that of all names; nothing for all names."""
        return {} if self.is_whole else {"shard": str(self)}

    def description(self) -> str:
        """One sentence for the output."""
        last = self.count - 1
        return (
            f"Shard {self}{self._by}: only its names are done here. All of them are done when the "
            f"shards 0/{self.count} to {last}/{self.count} are."
        )


#: All names.
WHOLE = Shard(0, 1)


def parse_shard(text: str | None, environ: Mapping[str, str]) -> Shard:
    """The shard that `text` ("I/N", "auto", or None for all names) stands for.

    "auto" takes the numbers of a Kubernetes Job or a Slurm array from `environ`. Without it they
    count for nothing: in many array jobs each task has a directory of its own.

    Raises UsageError for what is no shard, and where "auto" finds no index or no number of shards.
    """
    if text is None:
        return WHOLE
    if text.strip().lower() == AUTO:
        return _from_scheduler(environ)
    index, slash, count = text.strip().partition("/")
    if not (slash and _NUMBER.fullmatch(index) and _NUMBER.fullmatch(count)):
        raise UsageError(f"`shard`: {text!r} (I/N, or {AUTO})", hint=_HOW)
    return Shard(int(index), int(count))


def _from_scheduler(environ: Mapping[str, str]) -> Shard:
    present = [name for name in (KUBERNETES_INDEX, SLURM_INDEX) if environ.get(name)]
    if not present:
        raise UsageError(
            f"`shard`: {AUTO}, but neither {KUBERNETES_INDEX} nor {SLURM_INDEX} is set",
            hint="Start it as a task of an indexed Job or of an array, or write I/N.",
        )
    if len(present) > 1:
        raise UsageError(
            f"`shard`: {AUTO}, but both {KUBERNETES_INDEX} and {SLURM_INDEX} are set",
            hint="Write I/N, with the one that counts.",
        )
    (name,) = present
    index = _number(environ, name)
    if environ.get(COUNT_VARIABLE):
        origin = f"{name} and {COUNT_VARIABLE}"
        return Shard(index, _number(environ, COUNT_VARIABLE), origin)
    if name == KUBERNETES_INDEX:
        raise UsageError(
            f"`shard`: {AUTO} takes the number of shards from {COUNT_VARIABLE}, which is not set",
            hint=f"Set {COUNT_VARIABLE} in the pod's env to the number of completions of the Job.",
        )
    return _of_array(index, environ)


def _of_array(task: int, environ: Mapping[str, str]) -> Shard:
    """By Slurm's own count; the array may begin anywhere, and have a step."""
    count = _number(environ, "SLURM_ARRAY_TASK_COUNT")
    first = _number(environ, "SLURM_ARRAY_TASK_MIN")
    step = _number(environ, "SLURM_ARRAY_TASK_STEP", default=1)
    index, between = divmod(task - first, max(step, 1))
    if between or not 0 <= index < count:
        raise UsageError(
            f"`shard`: {AUTO}: task {task} of an array with {count} tasks from {first} on has gaps "
            "before it",
            hint=f"Use an array without gaps, or set {COUNT_VARIABLE} and count from 0.",
        )
    return Shard(index, count, SLURM_INDEX)


def _number(environ: Mapping[str, str], name: str, *, default: int | None = None) -> int:
    text = environ.get(name) or ("" if default is None else str(default))
    if not _NUMBER.fullmatch(text):
        raise UsageError(f"{name}: {text!r} (a number from 0 on)", hint=_HOW)
    return int(text)
