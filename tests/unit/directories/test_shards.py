"""Which shard a name belongs to, and which shard a run is."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.directories.shards import MOST_SHARDS, WHOLE, Shard, parse_shard
from ocihaul.errors import UsageError

#: By `printf NAME | sha256sum | cut -c 1-16`.
KNOWN = {
    "backup.tar": 0x_9C7E_D45E_977F_6BC3,
    "ü/日本.txt": 0x_1103_7FE9_2AD2_B57D,
    "": 0x_E3B0_C442_98FC_1C14,
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("count", [2, 3, 4, 7, 1000])
def test_the_hash_never_changes(name: str, count: int) -> None:
    owner = KNOWN[name] % count
    holders = [each for each in range(count) if Shard(each, count).holds(name.encode())]
    assert holders == [owner]


def test_the_known_hashes_are_those_of_sha256() -> None:
    for name, value in KNOWN.items():
        assert hashlib.sha256(name.encode()).hexdigest()[:16] == f"{value:016x}", name


@given(st.binary(max_size=40), st.integers(1, 50))
def test_each_name_belongs_to_one_shard(name: bytes, count: int) -> None:
    assert sum(Shard(index, count).holds(name) for index in range(count)) == 1


def test_shards_are_of_about_the_same_size() -> None:
    shards = [Shard(index, 8) for index in range(8)]
    sizes = Counter(
        shard.index
        for number in range(8000)
        for shard in shards
        if shard.holds(f"photos/2024/{number:06}.jpg".encode())
    )
    assert sum(sizes.values()) == 8000
    assert all(850 < sizes[index] < 1150 for index in range(8)), sizes


def test_what_is_written() -> None:
    assert parse_shard(None, {"SLURM_ARRAY_TASK_ID": "3"}) is WHOLE
    shard = parse_shard(" 2/4 ", {})
    assert (shard.index, shard.count, str(shard)) == (2, 4, "2/4")
    assert shard.facts() == {"shard": "2/4"}
    assert parse_shard("0/1", {}).facts() == {}
    assert "0/4 to 3/4" in shard.description()


@pytest.mark.parametrize(
    "text",
    [
        *("", "4/4", "5/4", "-1/4", "1/0", "0/0", "1", "1/", "/4", "1/4/2", "a/b", "1.0/4", "٣/4"),
        *(f"0/{MOST_SHARDS + 1}", "9999999999/9999999999", "1:4", "automatic"),
    ],
)
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shard(text, {})
    assert "`shard`" in caught.value.message
    assert caught.value.hint


def test_the_last_one_of_those_who_count_from_one_is_told_so() -> None:
    with pytest.raises(UsageError, match="counted from 0"):
        parse_shard("4/4", {})


KUBERNETES = {"JOB_COMPLETION_INDEX": "5", "OCIHAUL_SHARDS": "8"}


def slurm(task: int, first: int, count: int, step: int | None = None) -> dict[str, str]:
    given = {
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_COUNT": str(count),
    }
    return given if step is None else given | {"SLURM_ARRAY_TASK_STEP": str(step)}


@pytest.mark.parametrize(
    ("environ", "shard", "origin"),
    [
        (KUBERNETES, Shard(5, 8), "JOB_COMPLETION_INDEX and OCIHAUL_SHARDS"),
        (slurm(0, 0, 4), Shard(0, 4), "SLURM_ARRAY_TASK_ID"),
        (slurm(4, 1, 4), Shard(3, 4), "SLURM_ARRAY_TASK_ID"),
        (slurm(30, 10, 5, 10), Shard(2, 5), "SLURM_ARRAY_TASK_ID"),
        # One task of an array is run again alone: its number stays what it was.
        (
            slurm(2, 2, 1) | {"OCIHAUL_SHARDS": "4"},
            Shard(2, 4),
            "SLURM_ARRAY_TASK_ID and OCIHAUL_SHARDS",
        ),
    ],
)
def test_a_scheduler_says_which(environ: dict[str, str], shard: Shard, origin: str) -> None:
    found = parse_shard("AUTO", environ)
    assert (found, found.origin) == (shard, origin)
    assert f"by {origin}" in found.description()


@pytest.mark.parametrize(
    ("environ", "match"),
    [
        ({}, "neither JOB_COMPLETION_INDEX nor SLURM_ARRAY_TASK_ID"),
        ({"OCIHAUL_SHARDS": "4"}, "neither"),
        ({"JOB_COMPLETION_INDEX": "1"}, "OCIHAUL_SHARDS, which is not set"),
        (KUBERNETES | slurm(1, 0, 4), "both"),
        (KUBERNETES | {"JOB_COMPLETION_INDEX": "8"}, "8/8 by JOB_COMPLETION_INDEX"),
        (KUBERNETES | {"JOB_COMPLETION_INDEX": "x"}, "JOB_COMPLETION_INDEX: 'x'"),
        (KUBERNETES | {"OCIHAUL_SHARDS": "-8"}, "OCIHAUL_SHARDS: '-8'"),
        (KUBERNETES | {"OCIHAUL_SHARDS": "0"}, "0 shards by"),
        (slurm(7, 1, 3), "has gaps"),
        (slurm(3, 1, 3, 4), "has gaps"),
        (slurm(0, 1, 3), "has gaps"),
        ({"SLURM_ARRAY_TASK_ID": "1"}, "SLURM_ARRAY_TASK_COUNT: ''"),
    ],
)
def test_a_scheduler_that_does_not_say_which(environ: dict[str, str], match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        parse_shard("auto", environ)
    assert caught.value.hint
