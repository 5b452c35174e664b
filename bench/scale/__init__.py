"""Transfers by 1 to 8 workers of a Dask cluster, and the model of many more; see docs/scale.md."""
