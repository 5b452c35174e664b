"""Whether the session will last, as a table."""

import pytest

from ocihaul.cli.client import SessionLifetime, estimate
from tests.support import NOW

HOUR = 3600.0
GB = 10**9

BROWSER = SessionLifetime(NOW + 0.6 * HOUR, NOW + 6 * HOUR, None)
NO_WALL = SessionLifetime(NOW + 0.6 * HOUR, None, None)
NO_BROWSER = SessionLifetime(NOW + 0.6 * HOUR, NOW + 0.6 * HOUR, None)
MINTED = SessionLifetime(NOW + 0.6 * HOUR, NOW + 0.6 * HOUR, "BACKUP")


@pytest.mark.parametrize(
    ("lifetime", "size", "rate", "fits", "words"),
    [
        (BROWSER, 180 * GB, 50e6, True, "at 48 MiB/s this needs 60 min; the token ends in 36 min"),
        (BROWSER, 180 * GB, 50e6, True, "can be renewed until 2027-01-15 14:00:00 UTC"),
        (BROWSER, 180 * GB, None, True, "the token ends in 36 min and can be renewed until"),
        (BROWSER, 1800 * GB, 50e6, False, "this needs 10.0 h"),
        (BROWSER, 1800 * GB, 50e6, False, "it will pause then"),
        (NO_WALL, 1800 * GB, 50e6, True, "can be renewed"),
        (NO_BROWSER, 180 * GB, 50e6, False, "it will pause at 2027-01-15 08:36:00 UTC"),
        (NO_BROWSER, 180 * GB, None, None, "cannot be renewed (no-browser session)"),
        (NO_BROWSER, 180 * GB, None, None, "--renew-with"),
        (NO_BROWSER, 18 * GB, 50e6, True, "cannot be renewed"),
        (MINTED, 1800 * GB, 50e6, True, "BACKUP mints new ones"),
        (BROWSER, GB, 300 * 2**10, True, "at 0.29 MiB/s this needs 54 min"),
        (BROWSER, GB, 20 * 2**20, True, "at 20 MiB/s this needs 48 s"),
    ],
)
def test_estimates(
    lifetime: SessionLifetime, size: int, rate: float | None, fits: bool | None, words: str
) -> None:
    told = estimate(NOW, size, rate, lifetime)
    assert told.fits is fits
    assert words in told.text
