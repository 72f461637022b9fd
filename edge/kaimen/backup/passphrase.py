"""The passphrase of a backup: from a file, or from somebody at a terminal."""

from __future__ import annotations

import getpass
import sys
import unicodedata
from pathlib import Path

from kaimen.errors import SettingsError

SHORTEST = 12  # characters: whoever finds the file may try for years


def passphrase(path: Path | None, *, new: bool) -> bytes:
    """The first line of a file, or what is typed; a ``new`` one twice. Raises SettingsError."""
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: no passphrase can be read from it ({error})") from None
        given = lines[0] if lines else ""
    elif sys.stdin.isatty():
        given = getpass.getpass("passphrase: ")
        if new and getpass.getpass("once more: ") != given:
            raise SettingsError("that was not the same passphrase twice; begin again")
    else:
        raise SettingsError("nobody is here to be asked; give --passphrase-file FILE")
    if new and len(given) < SHORTEST:
        raise SettingsError(f"the passphrase is too short; take at least {SHORTEST} characters")
    # However a keyboard composes an ü.
    return unicodedata.normalize("NFC", given).encode()
