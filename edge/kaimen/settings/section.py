"""A section filled from a table of a file; an unknown or ill-fitting setting is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from kaimen.errors import SettingsError

Section = TypeVar("Section", bound=Any)


def filled(section: Section, table: Mapping[str, Any], where: str) -> Section:
    """Return the section with the values of a table. Raises SettingsError, with ``where``."""
    refuse_unknown(table, section, where)
    kinds = get_type_hints(type(section))
    table = dict(table)
    for name, value in table.items():
        kind = kinds[name]
        if is_dataclass(kind) and isinstance(value, Mapping):  # [section.name]
            inside = f"{where.removesuffix(']')}.{name}]"
            table[name] = filled(getattr(section, name), value, inside)
            continue
        fits = type(value) is kind or (kind is float and type(value) is int)
        if not fits:
            wanted = "section" if is_dataclass(kind) else kind.__name__
            raise SettingsError(f"{where} {name} must be a {wanted}, not {value!r}")
    try:
        return replace(section, **table)
    except SettingsError as error:
        raise SettingsError(f"{where} {error}") from None


def refuse_unknown(table: Mapping[str, Any], section: Any, where: str) -> None:
    """Raise SettingsError for a name that the section does not know, with one that it does."""
    known = [each.name for each in fields(section)]
    for name in table:
        if name not in known:
            import difflib  # takes 5 ms, which a relay that must go off need not wait

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(known)}"
            raise SettingsError(f"{where} knows no {name}{hint}")
