"""Somebody proves who they are: by password, or by passkey; too many wrong proofs have to wait."""

from __future__ import annotations

import asyncio
import math
import time

from kaimen.console import passkeys
from kaimen.console.accounts import Account, CopiedPasskey
from kaimen.console.challenges import PasskeyChallenge
from kaimen.console.exchange import Exchange, RefusedRequest
from kaimen.console.language import later
from kaimen.console.origin import Origin
from kaimen.console.passkeys import LONGEST_ANSWER, WrongPasskey
from kaimen.errors import SettingsError
from kaimen.names import as_kept


async def by_password(exchange: Exchange, name: str, password: str) -> Account:
    """Return the account of a name and its password; RefusedRequest where they are wrong."""
    console = exchange.console
    await _begin(exchange, as_kept(name))
    loop = asyncio.get_running_loop()
    account = await loop.run_in_executor(
        console.hashing, console.accounts.signed_in, name, password
    )
    if account is None:
        if console.accounts.get(name) is not None:
            await exchange.aside(write, exchange, as_kept(name), later("gave a wrong password"))
        raise RefusedRequest(403, "Name or password is wrong.")
    await exchange.aside(console.attempts.right, account.name, exchange.address)
    return account


async def by_passkey(exchange: Exchange, challenge: PasskeyChallenge | None) -> tuple[Account, str]:
    """Return the account of the passkey that has signed a challenge, and the passkey's number.

    RefusedRequest where it has not: of an old challenge, of another place, by a copy.
    """
    console = exchange.console
    answer = exchange.field("answer", longest=LONGEST_ANSWER)
    wrong = RefusedRequest(
        403, "No passkey of this desk has signed in; try again, or sign in by password."
    )
    try:
        number = passkeys.number_of(answer)
    except WrongPasskey:
        raise wrong from None
    account = await exchange.aside(console.accounts.of_passkey, number)
    # An unknown one counts for the address it comes from.
    await _begin(exchange, account.name if account else f"passkey {number}")
    passkey = account.passkey(number) if account else None
    if account is None or passkey is None:
        raise wrong
    try:
        if challenge is None:
            raise WrongPasskey("it has signed no challenge that it was given")
        counter = await exchange.aside(passkeys.signed, answer, challenge, passkey)
        account = await exchange.aside(
            console.accounts.used_passkey, account.name, number, counter, time.time()
        )
    except (WrongPasskey, SettingsError):  # or it was removed meanwhile
        await exchange.aside(write, exchange, account.name, later("gave a wrong passkey"))
        raise wrong from None
    except CopiedPasskey as error:
        did = later("gave a passkey whose counter has not gone on: it may be a copy")
        await exchange.aside(write, exchange, account.name, did)
        raise RefusedRequest(
            403, "This passkey may have been copied; sign in by password, and remove it."
        ) from error
    await exchange.aside(console.attempts.right, account.name, exchange.address)
    return account, number


def place_of_passkeys(exchange: Exchange) -> Origin:
    """Return where the browser is; RefusedRequest where browsers know no passkeys."""
    if exchange.origin is None or not exchange.origin.has_passkeys:
        raise RefusedRequest(
            422, "Browsers know passkeys only at https://NAME or http://localhost, not at a number."
        )
    return exchange.origin


def write(exchange: Exchange, who: str, did: str) -> None:
    """Write down what somebody did who has not signed in yet. Raises StorageError."""
    exchange.console.audit(who, did, address=exchange.address)


async def _begin(exchange: Exchange, name: str) -> None:
    wait = await exchange.aside(exchange.console.attempts.begin, name, exchange.address)
    if wait:
        raise RefusedRequest(
            429, "Too many wrong passwords; try again in {seconds} s.", seconds=math.ceil(wait)
        )
