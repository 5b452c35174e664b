"""What came through a pipe, read back by the stock CLI."""

import hashlib
import os
import subprocess
import sys

from .conftest import Stock
from .programs import with_ocihaul

MIB = 2**20


def test_a_pipe_is_read_back_equal_by_the_stock_cli(stock: Stock) -> None:
    stock = with_ocihaul(stock)
    data = os.urandom(35 * MIB + 7)
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    put = subprocess.run(
        [
            *(sys.executable, "-m", "ocihaul", "os", "object", "put", *stock.place()),
            *("--file", "-", "--name", "piped", "--part-size", "10", "--memory-limit", "20M"),
            *("--auth", "security_token", "--endpoint", stock.oci.endpoint),
            *("--expected-sha256", hashlib.sha256(data).hexdigest()),
        ],
        input=data,
        capture_output=True,
        env=environment | stock.environment | {"HOME": str(stock.home)},
        check=False,
        timeout=60,
    )
    assert put.returncode == 0, put.stderr.decode()
    target = stock.home / "piped"
    stock.os("object", "get", *stock.place(), "--name", "piped", "--file", str(target))
    assert target.read_bytes() == data
    head = stock.os("object", "head", *stock.place(), "--name", "piped")
    assert head["opc-multipart-md5"].endswith("-4")
