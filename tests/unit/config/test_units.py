"""`--bandwidth`: one rate, or one for each time of the day."""

from datetime import datetime

import pytest

from ocihaul.config.settings import Found, parse_bandwidth
from ocihaul.errors import UsageError

MIB = 2.0**20


def at(text: str, clock: str) -> float | None:
    moment = datetime.fromisoformat(f"2026-11-24T{clock}:59+09:00")
    return parse_bandwidth(Found(text, "--bandwidth")).at(moment)


@pytest.mark.parametrize(
    ("text", "clock", "rate"),
    [
        ("200M", "03:00", 200 * MIB),
        ("512k", "23:59", 0.5 * MIB),
        ("off", "12:00", None),
        ("08:00,50M 18:00,200M 23:00,off", "07:59", None),  # since 23:00 of the day before
        ("08:00,50M 18:00,200M 23:00,off", "08:00", 50 * MIB),
        ("18:00,200M 8:00,50M", "17:59", 50 * MIB),
        ("18:00,200M 8:00,50M", "00:00", 200 * MIB),
    ],
)
def test_the_rate_of_a_time(text: str, clock: str, rate: float | None) -> None:
    assert at(text, clock) == rate


@pytest.mark.parametrize(
    "text",
    ["", " ", "fast", "0", "-5M", "24:00,5M", "08:60,5M", "08:00", "08:00,", "5M 08:00,5M",
     "08:00,5M 8:00,6M", "08:00,nan"],
)  # fmt: skip
def test_what_is_no_rate_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        at(text, "12:00")
    assert "--bandwidth" in caught.value.message
    assert "200M" in (caught.value.hint or "")
