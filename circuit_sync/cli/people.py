"""``users …`` and ``planners …``: accounts, tokens, and which planner is which user."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.settings import load_settings

if TYPE_CHECKING:
    from circuit_sync.sync.session import Session

users_app = typer.Typer(help="Users: planners, general foremen, administrators.", no_args_is_help=True)
planners_app = typer.Typer(help="Planners whom circuits name and who are no user's.", no_args_is_help=True)


@contextmanager
def at_the_database() -> "Iterator[Session]":
    """A session without WorkStudio, for as long as the context lasts."""
    from circuit_sync.environment import database_in_use
    from circuit_sync.sync.session import Session

    with database_in_use(load_settings()) as database:
        yield Session(database, log=terminal.note)


@users_app.command()
def add(
    name: Annotated[str, typer.Argument(help="as people know them, such as 'Jo Larch'")],
    email: Annotated[str, typer.Option("--email", metavar="E", help="one person's alone")],
    role: Annotated[str, typer.Option("--role", help="planner, general_foreman, admin or sudo_admin")] = "planner",
    region: Annotated[
        list[str] | None, typer.Option("--region", metavar="R", help="a region they look after; repeatable")
    ] = None,
    ws_username: Annotated[
        str | None, typer.Option("--ws-username", metavar="NAME", help=r"in WorkStudio: CONTRACTOR\user")
    ] = None,
    ws_guid: Annotated[str | None, typer.Option("--ws-guid", metavar="G", help="their GUID in WorkStudio")] = None,
) -> None:
    """Add a user, and link all circuits that name them."""
    from circuit_sync.sync.people.users import NewUser, add_user

    with at_the_database() as session:
        linked = add_user(session, NewUser(name, email, role, region or (), ws_username, ws_guid))
    terminal.say(f"{name} ({email}) is added as {role}" + _linked(linked if ws_username else None))


@users_app.command(name="list")
def list_users() -> None:
    """All users, their regions, and how many circuits are linked to them."""
    from circuit_sync.sync.people.users import users

    with at_the_database() as session:
        found = users(session)
    terminal.table("users", found)
    if not found:
        terminal.say("there is no user yet: circuit-sync users add NAME --email E")


@users_app.command()
def token(
    email: Annotated[str, typer.Argument(help="the user's e-mail address")],
    revoke: Annotated[bool, typer.Option("--revoke", help="revoke all tokens of this user instead")] = False,
) -> None:
    """Print a new token for the event stream and the live page; it is shown this once."""
    from circuit_sync.environment import database_in_use
    from circuit_sync.events.tokens import issue_token, revoke_tokens

    now = datetime.now(UTC)
    with database_in_use(load_settings()) as database, database.transaction() as connection:
        if revoke:
            number = revoke_tokens(connection, email, now)
            line = f"{number} token{'' if number == 1 else 's'} of {email} revoked; open streams end within a minute"
        else:
            line = issue_token(connection, email, now)
    terminal.say(line)
    if not revoke:
        terminal.note("shown this once: only its hash is stored. A user may have several; --revoke ends them all")


@planners_app.command(name="list")
def list_planners(
    everyone: Annotated[bool, typer.Option("--all", help="also those linked to a user since")] = False,
) -> None:
    """Planners who are no user's: how many circuits name them now, first and last seen."""
    from circuit_sync.sync.people.users import planners

    with at_the_database() as session:
        found = planners(session, everyone=everyone)
    if not everyone:
        found = [{name: value for name, value in line.items() if name != "linked_to"} for line in found]
    terminal.table("planners" if everyone else "unlinked planners", found)
    if not found:
        terminal.say("every planner whom circuits name is a user")


@planners_app.command()
def link(
    ws_username: Annotated[str, typer.Argument(help=r"the planner, as circuits name them: CONTRACTOR\user")],
    user: Annotated[str, typer.Argument(help="the user's e-mail, WorkStudio name or name")],
) -> None:
    """Link a planner to a user, with all circuits that name the planner."""
    from circuit_sync.sync.people.users import link_to_user

    with at_the_database() as session:
        linked = link_to_user(session, ws_username, user)
    terminal.say(f"{ws_username} is {user}" + _linked(linked))


def _linked(circuits: int | None) -> str:
    return "" if circuits is None else f"; {circuits} circuits were linked"
