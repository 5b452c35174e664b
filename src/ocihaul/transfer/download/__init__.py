"""An object becomes a file or a stream."""
