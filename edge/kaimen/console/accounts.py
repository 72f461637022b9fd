"""Who may sign in: names, roles and hashes of passwords, sealed under the school's key.

Passwords are hashed by Argon2id (RFC 9106). Its parameters are OWASP's, in one lane: 19 MiB for
three rounds, which a small Pi has to spare while its gate works.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kaimen.console.roles import Role
from kaimen.errors import SettingsError
from kaimen.names import as_kept, name_of, printable
from kaimen.registry.accounts_file import read_accounts, write_accounts
from kaimen.registry.vault import Vault

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 10  # characters of a password
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in."""

    name: str
    role: Role
    hashed: str = ""  # of the password; empty: only a proxy signs them in


class Accounts:
    """The accounts of one gate; read anew at each look, so that a change counts at once."""

    def __init__(self, path: Path, vault: Vault) -> None:
        self._path = path
        self._vault = vault

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=3, memory_cost=19 * 1024, parallelism=1)

    @cached_property
    def _nobody(self) -> str:
        """A hash that takes as long as somebody's: whether a name is known is not to be timed."""
        return self._hasher.hash("nobody has this password")

    def all(self) -> dict[str, Account]:
        """Return the accounts by name. Raises GalleryError for a file that was changed."""
        rows = json.loads(read_accounts(self._path, self._vault) or b"[]")
        return {row[0]: Account(row[0], Role(row[1]), row[2]) for row in rows}

    def get(self, name: str) -> Account | None:
        """Return an account. Raises GalleryError."""
        return self.all().get(as_kept(name))

    def required(self, name: str) -> Account:
        """Return an account. Raises SettingsError for one that is not there, and GalleryError."""
        account = self.get(name)
        if account is None:
            raise SettingsError(f"there is no account '{printable(name)}'; see --accounts")
        return account

    def put(self, name: str, role: Role, password: str) -> Account:
        """Add an account, or give it another role and password; an empty one signs nobody in.

        Raises SettingsError for an unfit name or password, GalleryError and StorageError.
        """
        name = name_of(name, "the account")
        if password:
            require_fit(password, name)
        account = Account(name, role, self._hasher.hash(password) if password else "")
        self._save({**self.all(), name: account})
        return account

    def remove(self, name: str) -> None:
        """Remove an account. Raises SettingsError for one that is not there."""
        account = self.required(name)
        self._save({each: it for each, it in self.all().items() if it != account})

    def signed_in(self, name: str, password: str) -> Account | None:
        """Return the account of a name and its password; it takes as long if there is none."""
        from argon2.exceptions import VerificationError

        account = self.get(name[: 2 * LONGEST])
        hashed = account.hashed if account and account.hashed else self._nobody
        try:
            self._hasher.verify(hashed, password[: 2 * LONGEST])
        except VerificationError:
            return None
        return account if account and account.hashed else None

    def _save(self, accounts: dict[str, Account]) -> None:
        rows = [[each.name, int(each.role), each.hashed] for each in accounts.values()]
        write_accounts(self._path, self._vault, json.dumps(rows).encode())


def require_fit(password: str, name: str) -> None:
    """Refuse a password that is soon guessed. Raises SettingsError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(f"a password has from {SHORTEST} to {LONGEST} characters")
    if len(set(password)) < 5 or name.casefold() in password.casefold():
        raise SettingsError(
            "this password is soon guessed; take some words that have nothing to do with the name"
        )
