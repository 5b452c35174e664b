"""The Object Storage API: one method per operation, typed in and out."""
