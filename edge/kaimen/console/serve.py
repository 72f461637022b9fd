"""Serving the console until it is told to stop."""

from __future__ import annotations

import socket
from pathlib import Path

import uvicorn

from kaimen.console.app import application
from kaimen.console.console import Console
from kaimen.errors import DeviceError, SettingsError
from kaimen.installation import Installation
from kaimen.systemd import notify

LEAVING = 2  # seconds that visitors are given at the end


class _Announced(uvicorn.Server):
    """Tells systemd when visitors may come, and streams when to end."""

    console: Console

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        notify("STOPPING=1")
        self.console.ending.set()
        await super().shutdown(sockets)


def serve(installation: Installation, config: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises DeviceError where nobody can be served."""
    chosen = installation.settings.console
    app = application(installation, config)
    try:
        server = uvicorn.Config(
            app,
            host=chosen.host,
            port=chosen.port,
            ssl_certfile=chosen.certificate or None,
            ssl_keyfile=chosen.certificate_key or None,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=LEAVING,
            ws="none",
        )
        server.load()
    except OSError as error:  # of the certificate, too: ssl.SSLError is one
        raise SettingsError(
            f"{chosen.certificate}: cannot be used ({error.strerror or error})"
        ) from None
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    try:
        listener = socket.create_server((chosen.host, chosen.port), family=family)
    except OSError as error:
        raise DeviceError(
            f"nobody can be served at {chosen.host}:{chosen.port} ({error.strerror}); see what "
            "else listens there, or choose another port under [console]"
        ) from None
    announced = _Announced(server)
    announced.console = app.state.console
    with listener:
        announced.run([listener])
