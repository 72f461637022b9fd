"""What a page is made of: views that show and change nothing, and acts that change something.

An endpoint that is a plain function runs on the console's one worker thread, where it may use
``exchange.installation``. One that is ``async`` runs between all other visits: it must wait for
nothing but what it awaits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response

from kaimen.console.exchange import Exchange
from kaimen.console.navigation import NavigationEntry
from kaimen.console.roles import Role

Endpoint = Callable[[Exchange], Response | Awaitable[Response]]
SMALL = 64 << 10  # bytes of an act's form


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One address of a page."""

    path: str  # as Starlette writes it: /students/{number:int}
    endpoint: Endpoint
    method: str
    role: Role | None  # the least that is needed; None: nobody need have signed in
    largest: int = SMALL  # bytes of the form


def view(path: str, endpoint: Endpoint, *, role: Role | None = Role.GUARD) -> PageRoute:
    """Return an address that shows something, and changes nothing."""
    return PageRoute(path, endpoint, "GET", role)


def act(
    path: str, endpoint: Endpoint, *, role: Role | None = Role.GUARD, largest: int = SMALL
) -> PageRoute:
    """Return an address that changes something: a form with a token, of ``largest`` bytes."""
    return PageRoute(path, endpoint, "POST", role, largest)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its addresses, and where it stands in the navigation."""

    name: str  # of its templates' folder and of its Chinese texts
    routes: tuple[PageRoute, ...]
    navigation: NavigationEntry | None = None  # None: not there
