"""HTTP/1.1 on sockets: one request, one answer. No signatures, no retries, no meaning."""
