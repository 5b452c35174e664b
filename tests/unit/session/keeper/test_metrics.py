"""The metrics file: what a scraper reads."""

import re
from pathlib import Path

import pytest

from ocihaul.session.keeper import Sample, exposition, write_metrics

_LINE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? (-?[0-9.e+]+)')


def parsed(text: str) -> dict[str, float]:
    """The samples by name and labels; every line is one, or a comment about the next."""
    values, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
        if not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match is not None, line
            assert match[1] in typed, f"{match[1]} has no type"
            values[match[1] + (match[2] or "")] = float(match[3])
    return values


def test_all_figures_carry_the_profile() -> None:
    sample = Sample(
        "NIGHT",
        up=True,
        renewable=True,
        issued_at=100.0,
        expires_at=3700.0,
        session_ends_at=86500.0,
        generation=3,
        last_renewal=100.25,
        failures=2,
        renewals={"refresh": 2},
    )
    values = parsed(exposition([sample], keeper_up=True))
    assert values["ocihaul_keeper_up"] == 1
    night = '{profile="NIGHT"}'
    assert values["ocihaul_session_up" + night] == 1
    assert values["ocihaul_session_token_expiry_timestamp_seconds" + night] == 3700
    assert values["ocihaul_session_token_issued_timestamp_seconds" + night] == 100
    assert values["ocihaul_session_end_timestamp_seconds" + night] == 86500
    assert values["ocihaul_session_generation" + night] == 3
    assert values["ocihaul_session_last_renewal_timestamp_seconds" + night] == 100.25
    assert values["ocihaul_session_renewal_failures_total" + night] == 2
    assert values['ocihaul_session_renewals_total{profile="NIGHT",source="refresh"}'] == 2
    assert values['ocihaul_session_renewals_total{profile="NIGHT",source="mint"}'] == 0


def test_what_is_not_known_is_left_out() -> None:
    values = parsed(exposition([Sample("A", up=False, renewable=False)], keeper_up=False))
    assert not any("timestamp" in name for name in values)
    assert values['ocihaul_session_up{profile="A"}'] == 0


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_odd_names_stay_one_label(name: str) -> None:
    assert parsed(exposition([Sample(name, up=True, renewable=True)], keeper_up=True))


def test_the_file_is_replaced_whole_and_everybody_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ocihaul.prom"
    path.write_text("old")
    before = path.stat().st_ino
    write_metrics(path, "new\n")
    assert path.read_text() == "new\n"
    assert path.stat().st_ino != before
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]
