"""``credentials …``: planners' WorkStudio accounts, encrypted at rest. A password is never an argument."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.cli.people import at_the_database
from circuit_sync.domain.errors import UsageError
from circuit_sync.settings import Settings, load_settings

if TYPE_CHECKING:
    from circuit_sync.sync.people.secrets import SecretKeys
    from circuit_sync.sync.session import Session

app = typer.Typer(help="Planners' WorkStudio accounts, for fetching planned units.", no_args_is_help=True)


@app.command(name="set")
def store(
    user: Annotated[str, typer.Argument(help="the user's e-mail, WorkStudio name or name")],
    ws_username: Annotated[
        str | None,
        typer.Option("--ws-username", metavar="NAME", help="the account; default: the user's own name there"),
    ] = None,
) -> None:
    """Store a user's WorkStudio password, from a prompt or from standard input."""
    from circuit_sync.sync.people.accounts import account_holder, store_account

    keys = secret_keys(load_settings()).required()
    with at_the_database() as session:
        holder = account_holder(session, user, ws_username)
        store_account(session, keys, holder, _password(holder.ws_username))
    terminal.say(f"the account {holder.ws_username} of {holder.email} is stored, encrypted")
    terminal.say(f"it is used once it is verified: circuit-sync credentials verify {holder.email}")


@app.command()
def verify(
    user: Annotated[list[str] | None, typer.Argument(metavar="USER", help="default: all who have an account")] = None,
) -> int:
    """Sign in to WorkStudio with each account, and mark whether it works."""
    from circuit_sync.sync.people.accounts import VALID, verify_accounts

    settings = load_settings()
    keys = secret_keys(settings).required()
    with _at_workstudio(settings) as session:
        results = verify_accounts(session, keys, user or ())
    terminal.table("accounts", results)
    return 0 if all(line["result"] == VALID for line in results) else 1


@app.command(name="list")
def list_stored() -> None:
    """Every stored account and how it fares; never the password."""
    from circuit_sync.sync.people.accounts import list_accounts

    keys = secret_keys(load_settings())
    with at_the_database() as session:
        found = list_accounts(session, keys)
    terminal.table("accounts", found)
    if not found:
        terminal.say("no account is stored: units are fetched with the service account")


@app.command()
def rotate() -> None:
    """Encrypt every account anew with the first key of CIRCUIT_SYNC_SECRET_KEY; the others may go then."""
    from circuit_sync.sync.people.accounts import rotate_accounts

    keys = secret_keys(load_settings()).required()
    with at_the_database() as session:
        number = rotate_accounts(session, keys)
    terminal.say(f"{number} accounts are encrypted with the first key now")


def secret_keys(settings: Settings) -> "SecretKeys":
    """The keys of the settings; ``UsageError`` if one is malformed."""
    from circuit_sync.sync.people.secrets import SecretKeys

    key = settings.circuit_sync_secret_key
    return SecretKeys.parse(key.get_secret_value() if key else None)


@contextmanager
def _at_workstudio(settings: Settings) -> "Iterator[Session]":
    """A session that can call WorkStudio, or the simulator when nothing is configured."""
    from circuit_sync.environment import database_in_use, prepared_environment, server_name
    from circuit_sync.sync.session import Session
    from circuit_sync.workstudio.server import Credential, Server

    with prepared_environment(settings) as prepared, database_in_use(prepared) as database:
        server, service = Server.from_settings(prepared), Credential.from_settings(prepared)
        yield Session(database, server, service, server_name(prepared), log=terminal.note)


def _password(account: str) -> str:
    """The password of ``account``: typed unseen in a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        return str(
            typer.prompt(f"WorkStudio password of {account}", hide_input=True, confirmation_prompt=True, err=True)
        )
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8 text") from None
