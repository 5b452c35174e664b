"""`--dask`: the options, and the cluster that they name."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

import click

from ocihaul.cli.environment import environment_and_home

if TYPE_CHECKING:
    import distributed

VARIABLE = "OCIHAUL_DASK"

OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--dask",
        metavar="ADDRESS",
        help="Have the workers of this Dask cluster do it: tls://HOST:PORT, or its scheduler file. "
        "All of them see the same files. [OCIHAUL_DASK]",
    ),
    click.option("--dask-tls-ca-file", metavar="FILE", help="The cluster's CA. [Dask's own]"),
    click.option("--dask-tls-cert", metavar="FILE", help="Our certificate in it. [Dask's own]"),
    click.option("--dask-tls-key", metavar="FILE", help="The key of that. [Dask's own]"),
    click.option(
        "--dask-allow-plain-tcp",
        is_flag=True,
        help="Send the session's key to workers without encryption, too.",
    ),
)


def dask_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that adds them."""
    for add in reversed(OPTIONS):
        command = add(command)
    return command


class Executor(TypedDict, total=False):
    """What the client's calls take."""

    executor: "distributed.Client"
    allow_plain_tcp: bool


@contextmanager
def cluster_of(given: Mapping[str, Any]) -> Iterator[Executor]:
    """The cluster that the options or the environment name; nothing where they name none.

    Raises UsageError, NetworkError.
    """
    if "dask" not in given:  # a command that moves nothing
        yield {}
        return
    environ, _ = environment_and_home()
    address = given.get("dask") or environ.get(VARIABLE)
    if not address:
        yield {}
        return
    from ocihaul.integrations.extras import DASK, require

    require(DASK, by="--dask")
    from ocihaul.cluster.connect import ClusterAddress, connected

    plain = bool(given.get("dask_allow_plain_tcp"))
    where = ClusterAddress(
        str(address),
        ca_file=given.get("dask_tls_ca_file"),
        cert=given.get("dask_tls_cert"),
        key=given.get("dask_tls_key"),
        allow_plain_tcp=plain,
    )
    with connected(where) as cluster:
        yield {"executor": cluster, "allow_plain_tcp": plain}
