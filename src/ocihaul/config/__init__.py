"""Which profile, key, token, region and endpoint: flags → environment → rc file → config file.

What belongs in this room: the order in which the places are asked, and what is said when
something is missing. It looks whether files are there and who may read them, but never into a key
or a token: that is the work of `session/`. The environment and the home directory are handed in.
"""

from ocihaul.config.profile import SDK_AUTH, SUPPORTED_AUTH
from ocihaul.config.resolve import resolve
from ocihaul.config.settings import Flags, SessionOptions, Settings
from ocihaul.config.sources import RcFile, load_rc, profile_name, profile_names

__all__ = [
    "SDK_AUTH",
    "SUPPORTED_AUTH",
    "Flags",
    "RcFile",
    "SessionOptions",
    "Settings",
    "load_rc",
    "profile_name",
    "profile_names",
    "resolve",
]
