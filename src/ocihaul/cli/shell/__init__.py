"""`ocihaul ls`, `du`, `cp` and `rm`: files and objects as a shell has them."""
