"""`ocihaul os object bulk-…` and `sync`."""
