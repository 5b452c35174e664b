"""Each room by itself: the tree mirrors src/ocihaul."""
