"""What came through a pipe, read back by the official CLI."""

import hashlib
import os
import subprocess
import sys

from .conftest import Official
from .programs import with_ocihaul

MIB = 2**20


def test_a_pipe_is_read_back_equal_by_the_stock_cli(official: Official) -> None:
    official = with_ocihaul(official)
    data = os.urandom(35 * MIB + 7)
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    put = subprocess.run(
        [
            *(sys.executable, "-m", "ocihaul", "os", "object", "put", *official.place()),
            *("--file", "-", "--name", "piped", "--part-size", "10", "--memory-limit", "20M"),
            *("--auth", "security_token", "--endpoint", official.oci.endpoint),
            *("--expected-sha256", hashlib.sha256(data).hexdigest()),
        ],
        input=data,
        capture_output=True,
        env=environment | official.environment | {"HOME": str(official.home)},
        check=False,
        timeout=60,
    )
    assert put.returncode == 0, put.stderr.decode()
    target = official.home / "piped"
    official.os("object", "get", *official.place(), "--name", "piped", "--file", str(target))
    assert target.read_bytes() == data
    head = official.os("object", "head", *official.place(), "--name", "piped")
    assert head["opc-multipart-md5"].endswith("-4")
