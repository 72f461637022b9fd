"""Texts that somebody else may have written, or a disk may have changed.

What is nested too deeply ends the parsers of Python with a RecursionError, which nobody expects of
a wrong text.
"""

from __future__ import annotations

import json
from typing import Any


def read_json(content: str | bytes) -> Any:
    """Return what a JSON text says. Raises ValueError."""
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def read_toml(content: str) -> dict[str, Any]:
    """Return what a TOML text says. Raises ValueError."""
    import tomllib  # a relay that must go off waits for no module it does not need

    try:
        return tomllib.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
