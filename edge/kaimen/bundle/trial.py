"""The trial of a bundle: whom the active one let in, would the new one have let in as well?"""

from __future__ import annotations

from dataclasses import dataclass, replace

SURELY = 0.95  # share of the phrases that opened which must open by the new one, too
LEAST = 10  # phrases that opened, before anything is concluded of them
CRASHES = 3  # gates that may end, one after the other, before the new one heard a phrase


@dataclass(frozen=True, slots=True)
class Trial:
    """How far it is; it lasts until ``left`` is none and enough phrases opened."""

    slot: str
    total: int  # decisions that it lasts
    left: int  # of them
    began: str = ""  # UTC, ISO 8601
    opened: int = 0  # phrases for which the active one opened
    agreed: int = 0  # of them, for the same student by the new one
    more: int = 0  # phrases for which only the new one would have opened
    another: bool = False  # whether the new one would have let somebody in as another student
    begun: int = 0  # gates that began it, and ended before they counted a phrase
    without: int = 0  # students whom it need not know: their operator said so

    def after(self, active: str | None, new: str | None) -> Trial:
        """Return the trial after a phrase: whom each of the two let in."""
        return replace(
            self,
            left=max(0, self.left - 1),
            opened=self.opened + (active is not None),
            agreed=self.agreed + (active is not None and active == new),
            more=self.more + (active is None and new is not None),
            another=self.another or (active is not None and new not in (None, active)),
        )

    @property
    def over(self) -> bool:
        """Return whether it can be concluded."""
        return self.another or (not self.left and self.opened >= min(LEAST, self.total))

    @property
    def passed(self) -> bool:
        """Return whether the new one lets students in at least as surely."""
        return self.over and not self.another and self.agreed >= SURELY * self.opened

    @property
    def told(self) -> str:
        """Return how it went, for a person."""
        if self.another:
            return "it would have let somebody in as another student"
        more = f", and for {self.more} others" if self.more else ""
        return f"it opened for {self.agreed} of {self.opened} phrases that were let in{more}"
