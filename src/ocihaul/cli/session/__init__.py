"""`ocihaul session …`."""
