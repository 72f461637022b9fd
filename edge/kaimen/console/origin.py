"""Where a browser believes to be: scheme, name and port of the desk's address (RFC 6454)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kaimen.settings.console import is_address

USUAL = {"http": 80, "https": 443}
HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}?)\.?)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin of a page; as a text it is what browsers write."""

    scheme: str  # http or https
    host: str  # in lower case, without the port
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == USUAL[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def has_passkeys(self) -> bool:
        """Return whether browsers know passkeys there: a name, by TLS or of this machine."""
        local = self.host == "localhost" or self.host.endswith(".localhost")
        return (local or self.scheme == "https") and not is_address(self.host)


def origin_of(scheme: str, host: str) -> Origin | None:
    """Return an origin by a request's scheme and its header Host; None for what is none."""
    found = HOST.fullmatch(host.lower())
    if scheme not in USUAL or found is None:
        return None
    port = int(found[3] or USUAL[scheme])
    return Origin(scheme, found[1] or found[2], port) if 0 < port < 65536 else None
