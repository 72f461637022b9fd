"""Who may open this door when: groups of students by day and hour."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaimen.errors import SettingsError
from kaimen.names import name_of

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Rule:
    """Groups that may enter on some days from one time to another; [[roster]] in TOML."""

    groups: tuple[str, ...]
    days: tuple[int, ...] = tuple(range(7))  # Monday is 0
    opens: datetime.time = datetime.time.min
    closes: datetime.time = datetime.time.max

    @classmethod
    def read(cls, table: Any, where: str) -> Rule:
        """Read it from a table of a TOML file. Raises SettingsError."""
        known = ("groups", "days", "opens", "closes")
        if not isinstance(table, dict) or set(table) - set(known):
            raise SettingsError(f"{where} is a table of {', '.join(known)}")
        groups = table.get("groups")
        named = isinstance(groups, list) and all(isinstance(name, str) for name in groups)
        if not named or not groups:
            raise SettingsError(f'{where} groups must name some, like ["7a", "staff"]')
        rule = cls(
            tuple(name_of(group, where) for group in groups),
            _days(table.get("days", "mon-sun"), where),
            _time(table.get("opens", "00:00"), f"{where} opens"),
            _time(table["closes"], f"{where} closes") if "closes" in table else datetime.time.max,
        )
        if rule.opens >= rule.closes:
            raise SettingsError(f"{where} opens must be before closes; write two for a night")
        return rule

    def holds(self, now: datetime.datetime) -> bool:
        """Return whether the groups may enter at this moment."""
        return now.weekday() in self.days and self.opens <= now.time() < self.closes


def groups_at(roster: tuple[Rule, ...], now: datetime.datetime) -> frozenset[str] | None:
    """Return the groups that may enter now; None, for everybody, where there is no roster."""
    if not roster:
        return None
    return frozenset(group for rule in roster if rule.holds(now) for group in rule.groups)


def groups_at_once(roster: Iterable[Rule]) -> list[frozenset[str]]:
    """Return which groups may enter together at some time of the week; no set is part of another.

    In an order that does not depend on that of the rules; nothing where there is no roster.
    """
    rules = tuple(roster)
    # What may enter grows only where a rule begins.
    found = {
        frozenset(
            group
            for rule in rules
            if day in rule.days and rule.opens <= begins < rule.closes
            for group in rule.groups
        )
        for day in range(len(DAYS))
        for begins in {rule.opens for rule in rules if day in rule.days}
    }
    return sorted((each for each in found if not any(each < other for other in found)), key=sorted)


def _days(text: Any, where: str) -> tuple[int, ...]:
    """Days as in "mon-fri" or "mon, wed"."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.strip().partition("-")
            start, end = DAYS.index(first), DAYS.index(last or first)
            if end < start:
                raise ValueError
            found += range(start, end + 1)
    except (AttributeError, ValueError):
        raise SettingsError(f'{where} days must be like "mon-fri" or "mon, wed"') from None
    return tuple(found)


def _time(text: Any, where: str) -> datetime.time:
    try:
        found = datetime.time.fromisoformat(text)
    except (TypeError, ValueError):
        raise SettingsError(f'{where} must be like "07:30"') from None
    if found.tzinfo is not None:
        raise SettingsError(
            f'{where} has a zone of its own ({text}); write the time on the wall, like "07:30"'
        )
    return found
