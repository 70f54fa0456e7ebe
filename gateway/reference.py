"""The API reference: a document, and a page that shows it without loading anything from elsewhere."""

import hashlib
import json
from importlib.resources import files
from typing import Any

from gateway.own_answers import OwnAnswer

DOCUMENT_PATH = "/openapi.json"
PAGE_PATH = "/docs"
_PACKAGE = "swagger_ui"
_SCRIPT, _STYLE = "swagger-ui-bundle.js", "swagger-ui.css"
_TYPES = {".js": "application/javascript", ".css": "text/css"}
# A name changes with its content.
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
_FRESH = {"cache-control": "no-cache"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_START = f"""window.ui = SwaggerUIBundle({{
  url: "{DOCUMENT_PATH}", dom_id: "#reference", deepLinking: true, docExpansion: "none", filter: true,
  defaultModelsExpandDepth: 0, persistAuthorization: false, validatorUrl: null,
}});
"""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kontena Master API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="reference"></div>
<noscript>This page needs JavaScript. The same facts are in <a href="{document}">{document}</a>.</noscript>
<script src="{script}"></script>
<script src="{start}"></script>
</body>
</html>
"""


def reference_answers(document: dict[str, Any]) -> list[OwnAnswer]:
    """The document, the page and what the page loads."""
    script, style = _vendored(_SCRIPT), _vendored(_STYLE)
    start = _asset("start.js", _START)
    page = _PAGE.format(style=style.path, script=script.path, start=start.path, document=DOCUMENT_PATH)
    headers = {**_FRESH, "content-security-policy": _POLICY}
    return [
        OwnAnswer(DOCUMENT_PATH, json.dumps(document, separators=(",", ":"), ensure_ascii=False), headers=_FRESH),
        OwnAnswer(PAGE_PATH, page, "text/html; charset=utf-8", headers=headers),
        script,
        style,
        start,
    ]


def _vendored(name: str) -> OwnAnswer:
    return _asset(name, (files(_PACKAGE) / "static" / name).read_text("utf-8"))


def _asset(name: str, text: str) -> OwnAnswer:
    stem, dot, suffix = name.rpartition(".")
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    content_type = f"{_TYPES[dot + suffix]}; charset=utf-8"
    return OwnAnswer(f"{PAGE_PATH}/{stem}.{digest}.{suffix}", text, content_type, headers=_FOR_EVER)
