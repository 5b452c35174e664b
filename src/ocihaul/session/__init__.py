"""A credential that does not die: the session token, its renewal, and who may hold it."""
