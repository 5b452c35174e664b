"""The report's upload, scaled to a minute: tokens live 20 s, and one is revoked early.

Starts an emulated OCI on loopback, runs the real `ocihaul` command in a process of its own and
shows what happened on both sides. Then the same upload by the official rule, one token from start
to end, in one line. The picture of the upload is a page beside it; all else is in a temporary
directory that goes away. With `--short`, all of it is smaller and takes half a minute.
"""

import hashlib
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ocihaul.clock import ServerClock
from ocihaul.emulator import Emulator, Fault, Settings
from ocihaul.errors import OcihaulError
from ocihaul.http.client import HttpClient
from ocihaul.session.credential import Credential
from ocihaul.session.store import CredentialStore
from ocihaul.storage.client import StorageClient
from ocihaul.threads import StopSign
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.transfer.upload.upload import upload
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.pool import Pool

MIB = 2**20
SHORT = "--short" in sys.argv[1:]
SIZE = (64 if SHORT else 256) * MIB
TOKEN_TTL = 6 if SHORT else 20
BANDWIDTH = 4.4 * MIB
PARALLEL = 3 if SHORT else 15
PART_MIB = 10
#: The page that the command draws of its upload, where the demonstration was started.
REPORT = Path("ocihaul-demo.html")

SHOWN = (
    "ocihaul os object put --bucket-name backups --namespace ns1 --file backup.tar "
    "--name backup.tar \\\n    --storage-tier Archive --no-overwrite "
    f"--part-size {PART_MIB} --parallel-upload-count {PARALLEL} \\\n    --verify-checksum "
    f"--auth security_token --region us-ashburn-1 --report {REPORT}"
)


class OneToken:
    """The official rule: the token is read once, at the start."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """The same one for ever."""
        return self._credential

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        """There is no other."""
        return False


def main() -> int:
    """Run the demonstration; 0 when the upload arrived whole and the naive one failed."""
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="ocihaul-demo-") as name:
        home = Path(name)
        source = home / "backup.tar"
        with source.open("wb") as file:
            for _ in range(SIZE // MIB):
                file.write(secrets.token_bytes(MIB))
        settings = Settings(token_ttl=TOKEN_TTL, bandwidth=BANDWIDTH)
        with Emulator(settings) as oci:
            config = oci.write_profile(home / "oci")
            console.print(
                f"An emulated OCI at {oci.endpoint}: tokens live {TOKEN_TTL} s, the line carries "
                f"{BANDWIDTH / MIB:g} MiB/s,\nand all tokens are revoked when the first parts are "
                f"done. {SIZE // MIB} MiB take about {SIZE / BANDWIDTH:.0f} s.\n\n$ {SHOWN}"
            )
            code = _the_command(oci, home, config, source)
            good = code == 0 and _show(console, oci, source)
            if not (good and _naive(console, oci, home, source) and REPORT.is_file()):
                return 1
            console.print(f"\nThe picture of the first upload: {REPORT.resolve()}")
            return 0


def _the_command(oci: Emulator, home: Path, config: Path, source: Path) -> int:
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "TERM": os.environ.get("TERM", "dumb"),
        "HOME": str(home),
        "OCI_CLI_CONFIG_FILE": str(config),
        "OCI_CLI_ENDPOINT": oci.endpoint,
        "OCIHAUL_AUTH_ENDPOINT": oci.endpoint,
    }
    REPORT.unlink(missing_ok=True)
    words = SHOWN.replace("\\\n", " ").split()[1:]
    words[words.index("--file") + 1] = str(source)
    # The next request is refused, whoever is quicker: the renewal ahead of time or the next part.
    oci.faults.add(Fault(operation="UploadPart", after=PARALLEL, revoke=True))
    command = [sys.executable, "-m", "ocihaul", *words]
    return subprocess.run(command, env=environ, check=False).returncode


def _show(console: Console, oci: Emulator, source: Path) -> bool:
    """What the service saw, as a table; whether all of it is as it should be."""
    entries = oci.log.entries()
    parts = [entry for entry in entries if entry.operation == "UploadPart"]
    received = sum(entry.body_received for entry in parts)
    tokens = {entry.token_id for entry in parts}
    unauthorised = [e for e in entries if e.status == 401 and e.operation != "RefreshToken"]
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    same = oci.object_digest("backups", source.name) == digest
    table = Table(title="What the service saw", title_justify="left", show_header=False)
    for label, value in (
        ("parts", str(oci.object_info("backups", source.name).part_count)),
        ("bytes", f"{SIZE:,}"),
        ("tokens used for parts", str(len(tokens))),
        ("renewals", str(oci.auth.refreshes)),
        ("401s met and mended", str(len(unauthorised))),
        ("bytes sent twice", f"{received - SIZE:,}"),
        ("object identical to the file (SHA-256)", "yes" if same else "NO"),
    ):
        table.add_row(label, value)
    console.print()
    console.print(table)
    return same and received == SIZE and bool(unauthorised)


def _naive(console: Console, oci: Emulator, home: Path, source: Path) -> bool:
    """The same upload with one token; it is expected to fail."""
    folder = home / "oci" / "sessions" / "DEFAULT"
    store = CredentialStore(folder / "token", folder / "oci_api_key.pem")
    oci.write_profile(home / "oci")
    pair = store.read()
    authority = OneToken(Credential.of_token(pair.key, pair.token, generation=1))
    request = UploadRequest(
        source=source,
        namespace="ns1",
        bucket="backups",
        name="naive.tar",
        part_size=PART_MIB * MIB,
        parallel=PARALLEL,
    )
    started = time.monotonic()
    with Pool(Dialer(environ={})) as pool:
        client = HttpClient(pool, authority, ServerClock())
        try:
            upload(StorageClient(client, lambda _: oci.endpoint), request)
        except OcihaulError as error:
            cause = error.__cause__ or error
            seconds = time.monotonic() - started
            console.print(
                f"\nThe same upload with one token, as the official CLI does it: failed after "
                f"{seconds:.0f} s: {str(cause).splitlines()[0]}"
            )
            return True
    console.print("\nThe same upload with one token did not fail: this demonstration is broken.")
    return False


if __name__ == "__main__":
    sys.exit(main())
