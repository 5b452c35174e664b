"""The page that the browser shows after a login: it posts the answer and shows the reply."""

from importlib.resources import files


def page(*, nonce: str, secret: str) -> bytes:
    """Return the page; `nonce` allows its script and style, `secret` authorizes its post."""
    text = files(__package__).joinpath("login.html").read_text(encoding="utf-8")
    return text.replace("@NONCE@", nonce).replace("@SECRET@", secret).encode()
