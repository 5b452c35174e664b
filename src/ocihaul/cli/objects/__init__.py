"""`ocihaul os …`, but for whole trees."""
