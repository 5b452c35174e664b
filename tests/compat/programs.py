"""Running programs of the official environment: on the SDK alone, and with ocihaul from src/."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import Official

SOURCES = Path(__file__).parents[2] / "src"
MIB = 2**20

_CLIENT = """
import sys, oci
config = oci.config.from_file(sys.argv[1])
token = open(config["security_token_file"]).read()
key = oci.signer.load_private_key_from_file(config["key_file"])
signer = oci.auth.signers.SecurityTokenSigner(token, key)
client = oci.object_storage.ObjectStorageClient(
    config, signer=signer, service_endpoint=sys.argv[2])
models = oci.object_storage.models
arguments = sys.argv[3:]
"""


def with_client(official: Official, code: str, *arguments: str) -> str:
    """Run a program that begins with a `client` of the SDK's own; what it printed."""
    done = official.script(_CLIENT + code, str(official.config), official.oci.endpoint, *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def with_ocihaul(official: Official) -> Official:
    """The official environment, with ocihaul importable and our emulator as its auth service."""
    official.environment |= {
        "PYTHONPATH": str(SOURCES),
        "OCIHAUL_AUTH_ENDPOINT": official.oci.endpoint,
        "OCI_CLI_CONFIG_FILE": str(official.config),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return official


@contextmanager
def meanwhile(when: Callable[[], bool], then: Callable[[], object]) -> Iterator[threading.Event]:
    """While the block runs, wait for `when` and do `then` once; the event says that it was done."""
    done, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if when():
                then()
                done.set()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()


def assert_no_secret(official: Official, output: bytes) -> None:
    """No token that was ever issued, in whole or by its signature, and no line of a key."""
    text = output.decode(errors="replace")
    for token in official.oci.auth.token_texts():
        assert token not in text
        assert token.rpartition(".")[2] not in text
    for path in official.home.rglob("*.pem"):
        if "public" not in path.name:
            assert not any(line in text for line in path.read_text().splitlines() if len(line) > 60)
