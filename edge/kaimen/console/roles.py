"""What somebody at the console may do."""

from __future__ import annotations

from enum import IntEnum

from kaimen.console.language import later


class Role(IntEnum):
    """Roles in their order: who has one may do what those below may, too."""

    GUARD = 1  # sees what happens, and opens
    REGISTRAR = 2  # enrolls and removes
    ADMIN = 3  # calibrates, and sees who did what

    @classmethod
    def named(cls, name: str) -> Role:
        """Return the role of a name such as "guard". Raises KeyError."""
        return cls[name.upper()]

    def __str__(self) -> str:
        return self.name.lower()


TITLES = {
    Role.GUARD: later("guard"),
    Role.REGISTRAR: later("registrar"),
    Role.ADMIN: later("administrator"),
}
