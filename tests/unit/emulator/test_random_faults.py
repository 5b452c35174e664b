"""Faults by chance come as often as their rates say, do what their names say, and are counted."""

import http.client
from collections import Counter

import pytest

from ocihaul.emulator import KINDS, Emulator, FaultRates
from ocihaul.emulator.faults import RandomFaults

from .client import Client

SIZE = 5000
EACH = FaultRates(status_500=0.01, status_503=0.02, cut=0.04, damage=0.03, late=0.05)


def drawn(seed: int, operation: str, size: int, count: int = 20_000) -> Counter[str]:
    faults = RandomFaults()
    faults.set(EACH, seed=seed)
    names = [
        fault.name for _ in range(count) if (fault := faults.draw(operation, size)) is not None
    ]
    return Counter(names)


def test_each_kind_comes_as_often_as_its_rate_says() -> None:
    counts = drawn(1, "UploadPart", SIZE)
    cuts = sum(counts[name] for name in KINDS if name.startswith("cut"))
    seen = (*(counts[name] for name in ("status-500", "status-503")), cuts)
    seen = (*seen, counts["damaged-upload"], counts["late"])
    for count, rate in zip(seen, (0.01, 0.02, 0.04, 0.03, 0.05), strict=True):
        assert 0.7 * rate * 20_000 < count < 1.3 * rate * 20_000
    cut_places = [name for name in KINDS if name.startswith("cut")]
    assert all(counts[name] > 100 for name in cut_places), "before, inside, behind, unanswered"


def test_the_same_seed_gives_the_same_faults() -> None:
    assert drawn(3, "PutObject", SIZE) == drawn(3, "PutObject", SIZE)
    assert drawn(3, "PutObject", SIZE) != drawn(4, "PutObject", SIZE)


def test_only_what_a_request_has_can_be_hit() -> None:
    assert set(drawn(1, "HeadObject", 0)) == {"status-500", "status-503", "cut-before-answer"}
    assert "cut-after-body" not in drawn(1, "GetObject", SIZE)
    assert "damaged-download" in drawn(1, "GetObject", SIZE)
    assert "damaged-request" in drawn(1, "CommitMultipartUpload", SIZE)
    assert not any("damaged" in name for name in drawn(1, "RefreshToken", SIZE))


def test_nothing_is_drawn_until_rates_are_set_and_when_they_are_gone() -> None:
    faults = RandomFaults()
    assert faults.draw("PutObject", SIZE) is None
    faults.set(FaultRates(status_500=1.0))
    assert faults.draw("PutObject", SIZE) is not None
    faults.set(FaultRates())
    assert faults.draw("PutObject", SIZE) is None
    assert faults.fired() == Counter(), "drawn, and without an effect yet"


@pytest.mark.parametrize("status", [500, 503])
def test_a_status_by_chance(oci: Emulator, client: Client, status: int) -> None:
    rates = {f"status_{status}": 1.0}
    oci.random_faults.set(FaultRates(**rates))
    assert client.put("it", b"x").status == status
    assert oci.random_faults.fired() == {f"status-{status}": 1}
    assert oci.object_names("backups") == []


def test_damage_by_chance_both_ways(oci: Emulator, client: Client) -> None:
    data = bytes(SIZE)
    oci.random_faults.set(FaultRates(damage=1.0), seed=5)
    assert client.put("it", data).status == 200
    stored = oci.read_object("backups", "it")
    assert sum((one ^ other).bit_count() for one, other in zip(stored, data, strict=True)) == 1
    got = client.get("it").body
    assert sum((one ^ other).bit_count() for one, other in zip(got, stored, strict=True)) == 1
    ranged = client.get("it", range="bytes=10-19").body
    assert ranged != stored[10:20]
    assert oci.random_faults.fired() == {"damaged-upload": 1, "damaged-download": 2}


@pytest.mark.slow
def test_cuts_by_chance_leave_what_their_names_say(oci: Emulator, client: Client) -> None:
    oci.random_faults.set(FaultRates(cut=1.0), seed=1)
    outcomes: dict[str, set[bool]] = {}
    for number in range(40):
        name = f"o{number}"
        with pytest.raises((OSError, http.client.HTTPException)):
            client.put(name, bytes(SIZE))
        oci.log.wait_for(lambda entry, name=name: entry.path.endswith(name))  # type: ignore[misc]
        fault = oci.log.entries()[-1].fault
        assert fault is not None
        outcomes.setdefault(fault, set()).add(name in oci.object_names("backups"))
    assert outcomes == {
        "cut-before-body": {False},
        "cut-in-body": {False},
        "cut-after-body": {False},
        "cut-before-answer": {True},
    }


def test_a_late_request_has_its_effect_although_its_client_is_gone(
    oci: Emulator, client: Client
) -> None:
    oci.random_faults.set(FaultRates(late=1.0), seed=1)
    sock = client.raw()
    sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 3, {}) + b"abc")
    sock.close()
    oci.log.wait_for(lambda entry: entry.operation == "PutObject")
    assert oci.read_object("backups", "it") == b"abc"
    assert oci.random_faults.fired() == {"late": 1}
