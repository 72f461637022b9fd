"""Libraries that only one system needs, loaded where that one is configured."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kaimen.errors import SettingsError


def library(module: str, section: str, *, project: str = "", extra: str = "bridge") -> Any:
    """Return the module that a section of the settings needs, of a project called so.

    Raises SettingsError with the extra to install.
    """
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(
            f"[bridge.{section}] needs {project or module}; run pip install 'kaimen[{extra}]'"
        ) from None
