"""Who may sign in: names, roles, hashes of passwords, passkeys, sealed under the school's key.

Passwords are hashed by Argon2id (RFC 9106). Its parameters are OWASP's, in one lane: 19 MiB for
three rounds, which a small Pi has to spare while its gate works.
"""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, replace
from dataclasses import field as field_of
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kaimen.console.roles import Role
from kaimen.errors import GalleryError, SettingsError
from kaimen.names import as_kept, name_of, printable
from kaimen.parsing import read_json
from kaimen.registry.accounts_file import read_accounts, write_accounts
from kaimen.registry.vault import Vault
from kaimen.storage import changing

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST = 10  # characters of a password
LONGEST = 200
MOST_PASSKEYS = 10  # of an account


class CopiedPasskey(GalleryError):
    """A passkey whose counter did not go on: there may be two of it."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """What is kept of a passkey: nothing that is secret. Bytes are base64url."""

    number: str  # the credential's id
    key: str  # its public key (COSE)
    owner: str  # the user handle, the same for all passkeys of an account
    host: str  # the name of the desk that it is for (RP ID)
    label: str  # what its owner calls it
    made: float  # seconds since 1970
    counter: int = 0  # how often it had signed; some always say 0
    used: float = 0.0  # when it signed in last, seconds since 1970; 0: never


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in. Passkeys come and go without making it another account."""

    name: str
    role: Role
    hashed: str = ""  # of the password; empty: only a proxy signs them in
    passkeys: tuple[Passkey, ...] = field_of(default=(), compare=False)

    def passkey(self, number: str) -> Passkey | None:
        """Return a passkey by its number."""
        return next((each for each in self.passkeys if each.number == number), None)


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
        rows = read_json(read_accounts(self._path, self._vault) or b"[]")
        return {
            name: Account(name, Role(role), hashed, tuple(Passkey(*each) for each in passkeys))
            for name, role, hashed, *more in rows
            for passkeys in (more[0] if more else (),)  # none in a file of an earlier release
        }

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

        An account that is given anew has no passkeys: whoever asks for it may have lost them.
        Raises SettingsError for an unfit name or password, GalleryError and StorageError.
        """
        name = name_of(name, "the account")
        if password:
            require_fit(password, name)
        account = Account(name, role, self._hasher.hash(password) if password else "")
        with changing(self._path):
            self._save({**self.all(), name: account})
        return account

    def remove(self, name: str) -> None:
        """Remove an account. Raises SettingsError for one that is not there."""
        with changing(self._path):
            account = self.required(name)
            self._save({each: it for each, it in self.all().items() if it != account})

    def of_passkey(self, number: str) -> Account | None:
        """Return the account that has a passkey. Raises GalleryError."""
        return next((each for each in self.all().values() if each.passkey(number)), None)

    def add_passkey(self, name: str, passkey: Passkey) -> None:
        """Give an account one more passkey.

        Raises SettingsError for an account that is gone or has enough, and for a passkey that
        somebody has, and GalleryError and StorageError.
        """
        with changing(self._path):
            account = self.required(name)
            if self.of_passkey(passkey.number) is not None:
                raise SettingsError("this passkey is known here; sign in with it")
            if len(account.passkeys) >= MOST_PASSKEYS:
                raise SettingsError(
                    f"an account has {MOST_PASSKEYS} passkeys at most; remove one first"
                )
            self._with_passkeys(account, (*account.passkeys, passkey))

    def remove_passkey(self, name: str, number: str) -> None:
        """Remove a passkey; whoever signed in by it is signed out.

        Raises SettingsError for one that is not there, GalleryError and StorageError.
        """
        with changing(self._path):
            account = self.required(name)
            if account.passkey(number) is None:
                raise SettingsError("this passkey is removed already; load the page again")
            rest = tuple(each for each in account.passkeys if each.number != number)
            self._with_passkeys(account, rest)

    def used_passkey(self, name: str, number: str, counter: int, now: float) -> Account:
        """Keep how often a passkey has signed, and when; return its account.

        Raises CopiedPasskey where the counter is no higher than before, SettingsError for a
        passkey that is gone, GalleryError and StorageError.
        """
        with changing(self._path):
            account = self.required(name)
            found = account.passkey(number)
            if found is None:
                raise SettingsError("this passkey is removed already; sign in by password")
            if (counter or found.counter) and counter <= found.counter:
                raise CopiedPasskey(
                    "this passkey may have been copied; sign in by password, and remove it"
                )
            used = replace(found, counter=counter, used=now)
            self._with_passkeys(
                account, tuple(used if each is found else each for each in account.passkeys)
            )
            return account

    def _with_passkeys(self, account: Account, passkeys: tuple[Passkey, ...]) -> None:
        self._save({**self.all(), account.name: replace(account, passkeys=passkeys)})

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
        rows = [
            [each.name, int(each.role), each.hashed, [astuple(it) for it in each.passkeys]]
            for each in accounts.values()
        ]
        write_accounts(self._path, self._vault, json.dumps(rows).encode())


def require_fit(password: str, name: str) -> None:
    """Refuse a password that is soon guessed. Raises SettingsError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(f"a password has from {SHORTEST} to {LONGEST} characters")
    if len(set(password)) < 5 or name.casefold() in password.casefold():
        raise SettingsError(
            "this password is soon guessed; take some words that have nothing to do with the name"
        )
