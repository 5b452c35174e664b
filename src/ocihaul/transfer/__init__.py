"""Moving bytes: plan, source, checksums, workers, monitor, receipts; uploads and downloads."""
