"""The page at /code: shows the code that a login put behind the `#` of its address, which no server gets to see."""

import base64
import hashlib

_SCRIPT = (
    "var fields=new URLSearchParams(location.hash.slice(1));"
    'var code=fields.get("code");'
    "history.replaceState(null,'',location.pathname);"
    'if(code){document.getElementById("code").textContent=code;'
    'document.getElementById("none").hidden=true;document.getElementById("some").hidden=false}'
)
_STYLE = "body{font:16px/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}code{font-size:1.5em}"
_TEXT = f"""<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Authorization code</title><style>{_STYLE}</style></head>
<body>
<h1>Authorization code</h1>
<p id="some" hidden>Copy this code to where you were asked for it: <code id="code"></code></p>
<p id="none">There is no code in the address of this page. Start the login again.</p>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


PAGE = _TEXT.encode()
HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
