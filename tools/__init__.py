"""Programs for those who work on ocihaul; nothing of it is installed."""
