"""One session for all workers of a Dask cluster.

    >>> import dask.distributed, ocihaul  # doctest: +SKIP
    >>> from ocihaul.integrations import dask as ocihaul_dask  # doctest: +SKIP
    >>> session = ocihaul.Session.from_profile().start()  # doctest: +SKIP
    >>> cluster = dask.distributed.Client("tls://…", security=security)  # doctest: +SKIP
    >>> shared = ocihaul_dask.share(cluster, session)  # doctest: +SKIP

The process that calls `share` owns the session and makes every renewal. `shared` can go into tasks:
what travels is its name. See docs/dask.md.
"""

from ocihaul.integrations.extras import DASK, require

require(DASK, by="ocihaul.integrations.dask")

from ocihaul.integrations.dask.messages import SharedSession  # noqa: E402  the same
from ocihaul.integrations.dask.owner import share  # noqa: E402  after the check that names a cure

__all__ = ["SharedSession", "share"]
