"""`ocihaul cp`: its options; what they do is in `cp_run.py`."""

from typing import Any

import click

from ocihaul.cli.global_options import global_options
from ocihaul.cli.invocation import settle
from ocihaul.cli.options import ParallelCount, PartSize


@click.command("cp")
@click.argument("paths", nargs=-1, required=True, metavar="SOURCE... TARGET")
@click.option("-r", "-R", "--recursive", is_flag=True, help="Directories, with all below them.")
@click.option("-n", "--no-clobber", is_flag=True, help="Keep what is there. [it is replaced]")
@click.option("--part-size", type=PartSize(), help="Size of a part in MiB, or with its unit (10M).")
@click.option("--parallel", type=ParallelCount(), help="Parts or files at a time, or auto. [10]")
@global_options(hidden=True)
@click.pass_context
def cp(context: click.Context, /, **options: Any) -> None:
    """Copy files and objects: paths, oci://bucket[@namespace]/name, and - for stdin or stdout.

    Into a directory (a TARGET that ends with "/", a bucket, or one that is here) a SOURCE goes by
    its own name; a directory that is written with "/" at its end, by what is in it. Files are sent
    and fetched as by os object put and get, and resumed as these are. From bucket to bucket the
    service copies, and it is waited for.
    """
    from ocihaul.cli.shell.cp_run import run

    raise click.exceptions.Exit(run(settle(context, options, command=("cp",))))
