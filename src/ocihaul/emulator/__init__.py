"""A small OCI to develop and test against: auth and object storage, with faults on demand.

    with Emulator(Settings(token_ttl=4.0)) as oci:
        config = oci.write_profile(directory)
        oci.faults.add(Fault(operation="UploadPart", status=503))
        ...  # run a client against oci.endpoint
        assert oci.log.count(operation="RefreshToken") == 1

It shares no code with the client on purpose: it must not share its mistakes.
"""

from ocihaul.emulator.auth import EmulatorSession
from ocihaul.emulator.emulator import Emulator, ObjectInfo, UploadInfo
from ocihaul.emulator.faults import KINDS, Fault, FaultRates, UnfiredFaultsError
from ocihaul.emulator.log import LogEntry
from ocihaul.emulator.responses import ApiError
from ocihaul.emulator.settings import Settings

__all__ = [
    "KINDS",
    "ApiError",
    "Emulator",
    "EmulatorSession",
    "Fault",
    "FaultRates",
    "LogEntry",
    "ObjectInfo",
    "Settings",
    "UnfiredFaultsError",
    "UploadInfo",
]
