"""``kaimen console``: the operator's desk in a browser."""

from __future__ import annotations

import argparse
import getpass
import importlib.util
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace

from kaimen.cli.options import add_flag
from kaimen.errors import SettingsError
from kaimen.installation import Installation
from kaimen.names import name_of
from kaimen.screen import Screen
from kaimen.settings import Settings
from kaimen.settings.console import ROLES

EXAMPLE = """example:
  kaimen console --add-account chen --role admin      (asks for a password, twice)
  kaimen console
  kaimen console --accounts

The desk is then at http://127.0.0.1:8443/, for this machine alone. Nobody can sign in before the
first account is made here, at the gate's own terminal."""

NEEDED = ("argon2", "jinja2", "python_multipart", "starlette", "uvicorn", "webauthn")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--host", help="the address to listen at, instead of the settings'")
    parser.add_argument("--port", type=int, help="the port, instead of the settings'")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--add-account", metavar="NAME", help="let somebody sign in")
    ways.add_argument("--remove-account", metavar="NAME", help="let somebody sign in no more")
    add_flag(ways, "--accounts", "list who may sign in")
    parser.add_argument("--role", choices=ROLES, help="of the account: guard unless it is given")
    add_flag(parser, "--no-password", "of an account that only a proxy signs in")


def run(arguments: argparse.Namespace, screen: Screen) -> int:
    """Serve until SIGINT or SIGTERM, or see to the accounts."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"the console needs {', '.join(missing)}; install them: pip install 'kaimen[console]'"
        )
    settings = Settings.read(arguments.config)
    given = {"host": arguments.host, "port": arguments.port}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = replace(settings, console=replace(settings.console, **chosen))
    with Installation.open(settings, screen) as installation:
        if arguments.add_account or arguments.remove_account or arguments.accounts:
            _see_to_accounts(arguments, installation, screen)
            return 0
        from kaimen.console.serve import serve

        secure = "s" if settings.console.certificate else ""
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        screen.say(
            f"the desk is at http{secure}://{settings.console.host}:{settings.console.port}/"
        )
        with suppress(KeyboardInterrupt):  # which the server raises again once it has ended
            serve(installation, arguments.config)
    return 0


def _see_to_accounts(
    arguments: argparse.Namespace, installation: Installation, screen: Screen
) -> None:
    from kaimen.console.accounts import Accounts, require_fit
    from kaimen.console.acts import Acts
    from kaimen.console.roles import Role

    accounts = Accounts(installation.accounts_path, installation.vault_or_new)
    acts = Acts(installation.acts_folder, installation.acts_key)
    who = f"user {os.getuid()} at the terminal"
    if arguments.add_account:
        password = "" if arguments.no_password else _password()
        if not password and not arguments.no_password:
            raise SettingsError("a password is needed; write one, or give --no-password")
        name = name_of(arguments.add_account, "the account")
        if password:
            require_fit(password, name)
        acts.write(who, f"added the account {name}")
        account = accounts.put(name, Role.named(arguments.role or "guard"), password)
        screen.result(
            {"account": account.name, "role": str(account.role)},
            f"{account.name} may sign in as {account.role}",
        )
    elif arguments.remove_account:
        name = accounts.required(arguments.remove_account).name
        acts.write(who, f"removed the account {name}")
        accounts.remove(name)
        screen.result({"removed": name}, f"{name} is removed")
    else:
        listed = accounts.all().values()
        if not listed:
            screen.say("nobody can sign in; begin with 'kaimen console --add-account NAME'")
        for account in listed:
            way = "password" if account.hashed else "proxy"
            passkeys = len(account.passkeys)
            more = f", {passkeys} passkey{'s' if passkeys > 1 else ''}" if passkeys else ""
            screen.result(
                {
                    "account": account.name,
                    "role": str(account.role),
                    "by": way,
                    "passkeys": passkeys,
                },
                f"{account.name}  {account.role}  {way}{more}",
            )


def _password() -> str:
    """Return a password: asked for twice at a terminal, else a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("password: ")
    if getpass.getpass("once more: ") != first:
        raise SettingsError("the two passwords differ; try again")
    return first
