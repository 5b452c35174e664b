#!/usr/bin/env python3
"""One directory by Dask workers that Slurm starts: eight jobs, and this process as the driver.

    pip install 'ocihaul[dask]' dask-jobqueue trustme
    sbatch --time=1-00:00:00 --wrap 'srun python dask_sync.py /lustre/project backups project/'

All nodes see the directory under the same path. The driver has the session of ~/.oci; workers get
their credentials from it over TLS, whose certificates are made here, for this run, in a directory
that only you can read and all nodes see. Run again, it goes on. See docs/dask.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import distributed
import trustme
from dask_jobqueue import SLURMCluster

import ocihaul


def certificates(directory: Path) -> distributed.Security:
    """A CA of this run's own, and one certificate for all of its processes."""
    authority = trustme.CA()
    issued = authority.issue_cert("ocihaul-dask")
    files = {name: directory / f"{name}.pem" for name in ("ca", "cert", "key")}
    for file in files.values():
        file.touch(mode=0o600)
    authority.cert_pem.write_to_path(str(files["ca"]))
    issued.private_key_pem.write_to_path(str(files["key"]))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(str(files["cert"]), append=True)
    both = {
        f"tls_{role}_{kind}": str(files[kind])
        for role in ("scheduler", "worker", "client")
        for kind in ("cert", "key")
    }
    return distributed.Security(tls_ca_file=str(files["ca"]), require_encryption=True, **both)


def workers(security: distributed.Security, options: argparse.Namespace) -> SLURMCluster:
    """So many jobs, each a worker with eight threads: eight parts at a time."""
    return SLURMCluster(
        cores=8,
        processes=1,
        job_cpu=2,  # it is the line that is waited for
        memory="2GB",
        walltime=options.walltime,
        queue=options.partition,
        interface=options.interface,
        protocol="tls://",
        security=security,
        shared_temp_directory=str(options.shared),
        n_workers=options.workers,
        worker_extra_args=["--no-nanny"],
    )


def main() -> int:
    """Sync, and say what came of it. 75: stopped, run it again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("bucket")
    parser.add_argument("prefix", nargs="?", default="")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--walltime", default="23:00:00")
    parser.add_argument("--partition")
    parser.add_argument("--interface", help="of the nodes' network, such as ib0")
    parser.add_argument("--shared", type=Path, default=Path.home(), help="seen by all nodes")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix=".ocihaul-dask-", dir=options.shared) as private,
        workers(certificates(Path(private)), options) as cluster,
        distributed.Client(cluster) as executor,
        ocihaul.Client.from_profile(auth="security_token") as client,
    ):
        executor.wait_for_workers(1)  # the others get their share when Slurm starts them
        call: dict[str, Any] = {"prefix": options.prefix, "delete": True, "executor": executor}
        try:
            done = client.upload_directory(options.directory, options.bucket, **call)
        except ocihaul.OcihaulError as error:
            print(error, file=sys.stderr)
            return 75 if error.resumable else 1
    print(f"{done.transferred} sent, {done.skipped} unchanged, {done.deleted} deleted")
    for name, reason in done.failures.items():
        print(f"{name}: {reason}", file=sys.stderr)
    return 0 if done.good else 1


if __name__ == "__main__":
    sys.exit(main())
