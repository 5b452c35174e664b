"""What is done, on disk: incomplete uploads, and the receipts of finished ones."""
