"""Where a page stands in the navigation, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kaimen.console.roles import Role
from kaimen.settings import Settings


@dataclass(frozen=True, slots=True)
class NavigationEntry:
    """One word of the navigation, and where it leads."""

    title: str  # in English
    path: str
    role: Role = Role.GUARD  # from which on it is shown
    applies: Callable[[Settings], bool] = lambda settings: True  # to this machine

    def is_shown(self, settings: Settings, role: Role | None) -> bool:
        """Return whether it is shown to somebody with a role; None: nobody has signed in."""
        return role is not None and role >= self.role and self.applies(settings)
