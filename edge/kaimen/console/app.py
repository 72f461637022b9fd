"""The console as a Starlette application, made from an installation."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from kaimen.console.admission import Admission, refusal
from kaimen.console.console import Console
from kaimen.console.headers import SecurityHeaders
from kaimen.console.page import Page
from kaimen.console.pages import PAGES
from kaimen.installation import Installation

STATIC = Path(__file__).parent / "static"
LOCAL = ["localhost", "127.0.0.1", "[::1]"]


def application(
    installation: Installation, config: Path | None = None, pages: tuple[Page, ...] = PAGES
) -> Starlette:
    """Return the application; its end closes the installation.

    ``config`` is the file that its settings were read from. Raises GalleryError where the school's
    key cannot be read.
    """
    console = Console(installation, config)
    admission = Admission(console, pages)

    async def failed(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return refusal(admission.stray(request), error)
        sys.stderr.write("".join(traceback.format_exception(error)))
        return PlainTextResponse("Something went wrong here; the journal says what.", 500)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with console:
            yield

    routes = [route for page in pages for route in page.routes]
    chosen = installation.settings.console
    middleware = [Middleware(SecurityHeaders)]
    if chosen.is_local and not (chosen.proxy or chosen.proxy_secret):
        # Another site whose name leads here is not us.
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, chosen.host]))
    app = Starlette(
        routes=[
            Route("/", lambda request: RedirectResponse("/live", 303)),
            *(Route(route.path, admission.to(route), methods=[route.method]) for route in routes),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=middleware,
        exception_handlers={HTTPException: failed, 500: failed},
        lifespan=lifespan,
    )
    app.state.console = console
    return app
