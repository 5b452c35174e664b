"""What `Emulator.configure` takes is what there is to set."""

from typing import get_type_hints

from ocihaul.emulator.settings import Settings, SettingsChange


def test_every_setting_that_is_not_fixed_can_be_changed_with_its_type() -> None:
    settings = get_type_hints(Settings)
    fixed = {"host", "port", "tls", "data_dir"}
    assert get_type_hints(SettingsChange) == {
        name: kind for name, kind in settings.items() if name not in fixed
    }
