"""Who was removed: keyed hashes, so that whoever was removed stays so in a backup put back.

Nobody finds out from a hash who it was without the key; with it, whether it was a certain student.
"""

from __future__ import annotations

import hmac
import re
import sqlite3
from pathlib import Path

from kaimen.errors import SettingsError
from kaimen.names import forms_of
from kaimen.registry.vault import Vault

HASH = re.compile(r"[0-9a-f]{64}")


def erasure(vault: Vault, name: str) -> str:
    """Return the hash of a student's name, 64 hexadecimal digits."""
    return erasures(vault, name)[0]


def erasures(vault: Vault, name: str) -> list[str]:
    """Return the same, and that of the name as earlier releases may have hashed it."""
    key = vault.derive("erased")
    return [hmac.digest(key, form.encode(), "sha256").hex() for form in forms_of(name)]


def strike_erasure(database: sqlite3.Connection, vault: Vault, name: str) -> None:
    """Take a student who is enrolled again off the list, in a transaction."""
    hashes = [(hashed,) for hashed in erasures(vault, name)]
    database.executemany("DELETE FROM erased WHERE student = ?", hashes)


def read_erased(path: Path) -> set[str]:
    """Hashes of a file, one a line, as 'kaimen students --erased' prints. Raises SettingsError."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from None
    wrong = [line for line in lines if not HASH.fullmatch(line)]
    if wrong:
        raise SettingsError(
            f"{path}: {wrong[0][:20]!a} is no hash; give what 'kaimen students --erased' printed"
        )
    return set(lines)
