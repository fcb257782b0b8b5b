"""``users token``: the word that a user's programs and browser listen with."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from circuit_sync.cli import terminal
from circuit_sync.settings import load_settings


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
