"""[console]: where the operator's desk is served, and who is let in to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kaimen.errors import SettingsError

PORT = 8443
ROLES = ("guard", "registrar", "admin")  # each may do what those before it may
FEED = "feed"  # the socket's name in the runtime folder


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """[console]"""

    host: str = "127.0.0.1"  # the address to listen at
    port: int = PORT
    certificate: str = ""  # of TLS, a PEM file; empty: no TLS, and then only this machine may come
    certificate_key: str = ""  # its private key, a PEM file
    proxy: str = ""  # the address of a proxy that signs people in; empty: none
    proxy_header: str = "X-Remote-User"  # what that proxy writes an account's name into
    proxy_secret: str = ""  # a file with the secret that it sends as X-Kaimen-Proxy; empty: none
    idle: float = 30.0  # minutes without a visit after which somebody is signed out
    longest: float = 12.0  # hours after which everybody signs in anew
    names: str = "registrar"  # the least role that sees who was let in: guard, registrar or admin
    feed: str = ""  # the socket of what the gate hears; empty: in the gate's runtime folder

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError("console.port must be from 0 to 65535")
        if bool(self.certificate) != bool(self.certificate_key):
            raise SettingsError("console.certificate and console.certificate_key belong together")
        if self.proxy and not is_address(self.proxy):
            raise SettingsError(f"console.proxy must be an address such as 10.0.0.2: {self.proxy}")
        if not self.proxy_header.replace("-", "").isalnum() or not self.proxy_header.isascii():
            raise SettingsError("console.proxy_header must be the name of a header")
        if self.names not in ROLES:
            raise SettingsError(f"console.names must be one of {', '.join(ROLES)}")
        if not 0 < self.idle <= 24 * 60 or not 0 < self.longest <= 24 * 7:
            raise SettingsError(
                "console.idle must be more than 0 and at most 1440 minutes, console.longest more "
                "than 0 and at most 168 hours"
            )
        if not (self.is_local or self.certificate or self.proxy or self.proxy_secret):
            raise SettingsError(
                f"console.host is {self.host}, which others can reach, and passwords would pass "
                "in clear: give console.certificate and console.certificate_key, or the proxy "
                "that signs people in, or 127.0.0.1 as host"
            )

    @property
    def is_local(self) -> bool:
        """Return whether only this machine can reach the console."""
        return self.host in ("localhost", "127.0.0.1", "::1")

    @property
    def feed_path(self) -> Path:
        """Return where the gate says what it hears."""
        return Path(self.feed) if self.feed else runtime_folder() / FEED


def runtime_folder() -> Path:
    """Return where the gate's sockets are: systemd's runtime folder, or the user's."""
    given = os.environ.get("RUNTIME_DIRECTORY")
    if given:
        return Path(given)
    service = Path("/run/kaimen-gate")  # the gate's, seen by the console
    if service.is_dir() and os.access(service, os.W_OK):
        return service
    home = os.environ.get("XDG_RUNTIME_DIR")
    return Path(home) / "kaimen" if home else Path(f"/tmp/kaimen-{os.getuid()}")


def is_address(text: str) -> bool:
    """Return whether a host is a number, of IPv4 or IPv6, and no name."""
    import ipaddress  # takes some milliseconds, which a relay that must go off need not wait

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
