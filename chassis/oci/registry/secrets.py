"""What must not show in a message: passwords and tokens in use, in the forms in which a registry may repeat them."""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Iterable

from chassis.oci.registry.credentials import Credential

_HIDDEN = "***"


class Secrets:
    """Secrets in use, added as they are found. Safe to use from several threads."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: tuple[str, ...] = ()
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """Hides a text from now on, and its base64, its escapes in URLs and those in JSON."""
        if not text:
            return
        content = text.encode("utf-8", "surrogatepass")
        plain, for_urls = base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()
        forms = {text, plain, plain.rstrip("="), for_urls, for_urls.rstrip("="), json.dumps(text)[1:-1]}
        forms |= {json.dumps(text, ensure_ascii=False)[1:-1], urllib.parse.quote(content, safe="")}
        forms |= {urllib.parse.quote_plus(content), urllib.parse.quote(content)}
        with self._lock:
            self._forms = tuple(sorted(forms.union(self._forms), key=len, reverse=True))

    def add_credential(self, credential: Credential) -> None:
        """Hides all that is secret of a credential, and what its Authorization header has."""
        for text in (credential.password, credential.identity_token, credential.registry_token):
            self.add(text)
        if credential.password:
            self.add(f"{credential.username}:{credential.password}")

    def hide(self, text: str) -> str:
        """`text` with `***` for each secret in it."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        return text
