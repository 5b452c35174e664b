"""The page that the browser shows after a login: it passes the answer on and tells what became
of it. Only text in here; what is judged is in `login`, and who may post in `callback`.
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>ocihaul: logging in</title>
<style nonce="@NONCE@">
  body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 0; background: #f4f4f2; color: #222; }
  main { max-width: 34rem; margin: 15vh auto 0; padding: 2rem; background: #fff;
         border-radius: .5rem; border-top: .4rem solid #999; }
  main.good { border-color: #2a7d3f; }
  main.bad { border-color: #b3261e; }
  h1 { font-size: 1.4rem; margin: 0 0 .5rem; }
  p { margin: 0; }
  @media (prefers-color-scheme: dark) {
    body { background: #1b1b1b; color: #eee; } main { background: #2a2a2a; }
  }
</style>
</head>
<body>
<main id="box" role="status" aria-live="polite">
<h1 id="title">Logging in …</h1>
<p id="text">One moment.</p>
<noscript><p>This page needs JavaScript to pass the login on to your terminal.</p></noscript>
</main>
<script nonce="@NONCE@">
"use strict";
(function () {
  function show(good, title, text) {
    document.getElementById("box").className = good ? "good" : "bad";
    document.getElementById("title").textContent = title;
    document.getElementById("text").textContent = text;
    document.title = "ocihaul: " + title;
  }
  var answer = location.hash.slice(1) || location.search.slice(1);
  // The token must not stay in the history, nor be sent again by a reload.
  history.replaceState(null, "", "/");
  if (!answer) {
    show(false, "Nothing to do here",
         "This address is where the login page leads back to. Open the address that your " +
         "terminal shows.");
    return;
  }
  fetch("/token", {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      "x-ocihaul-secret": "@SECRET@"
    },
    body: answer
  }).then(function (reply) {
    if (!reply.ok) { throw new Error(); }
    return reply.json();
  }).then(function (verdict) {
    show(verdict.good, verdict.good ? "You are logged in" : "The login failed", verdict.text);
  }).catch(function () {
    show(false, "The login failed",
         "Your terminal is no longer waiting for it. Start the login there again.");
  });
})();
</script>
</body>
</html>
"""


def page(*, nonce: str, secret: str) -> bytes:
    """The page; `nonce` lets its script run, `secret` lets its post in."""
    return _PAGE.replace("@NONCE@", nonce).replace("@SECRET@", secret).encode()
