"""The live page: one file, allowed to load nothing from anywhere and to talk to its own gateway only."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib import resources

_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


def read_page() -> tuple[bytes, dict[str, str]]:
    """The page and the headers it is served with: only the script and the style that stand in it may run."""
    page = (resources.files("circuit_sync.events") / "page.html").read_bytes()
    hashes = {kind: f"'sha256-{b64encode(sha256(text).digest()).decode()}'" for kind, text in _INLINE.findall(page)}
    policy = (
        f"default-src 'none'; script-src {hashes[b'script']}; style-src {hashes[b'style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page, {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
