"""What a person runs to log in again, as every hint names it."""


def login_command(profile: str | None = None) -> str:
    """Our own command, and the stock one, which writes the same files."""
    named = f" --profile-name {profile}" if profile else ""
    return f"ocihaul session login{named} (or: oci session authenticate{named})"
