"""Moving bytes: plans, checksums, sources, and the engines that use them."""
