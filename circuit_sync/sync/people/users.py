r"""Users and planners: who is who, and which circuits are theirs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from circuit_sync.database.connection import Connection
from circuit_sync.database.log.sync_logs import resolve_user
from circuit_sync.database.people import users as people
from circuit_sync.domain.circuit_fields import planner_of
from circuit_sync.domain.errors import UsageError
from circuit_sync.domain.folding import fold
from circuit_sync.domain.printable import Lines, is_printable
from circuit_sync.domain.values import BadValue, clean_guid, clean_text
from circuit_sync.sync.session import Session


@dataclass(frozen=True)
class NewUser:
    r"""A user to add. ``regions`` by name; ``ws_username`` looks like ``CONTRACTOR\user``."""

    name: str
    email: str
    role: str = "planner"
    regions: Sequence[str] = ()
    ws_username: str | None = None
    ws_user_guid: str | None = None


def add_user(session: Session, new: NewUser) -> int:
    """Adds a user and links all circuits that name them; returns how many those are.

    Raises ``UsageError`` on an unknown role or region, and on an e-mail or WorkStudio name that is another's.
    """
    name, email = _text("name", new.name), _text("e-mail", new.email)
    if "@" not in email.strip("@"):
        raise UsageError(f"{email!r} is not an e-mail address: it looks like name@example.com")
    if new.role not in people.ROLES:
        raise UsageError(f"unknown role {new.role!r}: allowed are {', '.join(people.ROLES)}")
    planner = None if new.ws_username is None else planner_name(new.ws_username)
    guid = None if new.ws_user_guid is None else _guid(new.ws_user_guid)
    with session.database.transaction() as connection:
        region_ids = {find_region(connection, region)[1] for region in new.regions}
        _refuse_taken(connection, email, planner)
        user = people.add_user(
            connection, name=name, email=email, role=new.role, ws_username=planner, ws_user_guid=guid
        )
        if user is None:
            _refuse_taken(connection, email, planner)
            raise UsageError(f"somebody added {email} at this moment: look at `circuit-sync users list`")
        people.add_user_regions(connection, user, sorted(region_ids))
        return people.link_circuits(connection, planner, user, session.now()) if planner else 0


def users(session: Session) -> Lines:
    """Every user: name, email, role, ws_username, regions, circuits."""
    with session.database.transaction() as connection:
        return people.users(connection)


def planners(session: Session, *, everyone: bool = False) -> Lines:
    """The planners who are not linked to a user; with ``everyone`` also those linked since."""
    with session.database.transaction() as connection:
        return people.planners(connection, everyone=everyone)


def link_to_user(session: Session, ws_username: str, user: str) -> int:
    """Links a planner to the user named ``user``, with all circuits that name the planner; returns how many.

    Raises ``UsageError`` when no circuit ever named the planner, or the planner is another user.
    """
    with session.database.transaction() as connection:
        user_id = resolve_user(connection, user)
        assert user_id is not None
        known = people.unlinked_name(connection, ws_username)
        if known is None:
            waiting = [line["ws_username"] for line in people.planners(connection, everyone=False)]
            raise UsageError(f"no unlinked planner is named '{ws_username}': {_choice(waiting, 'there is none')}")
        owner = people.user_of_planner(connection, known)
        if owner is not None and owner.id != user_id:
            raise UsageError(f"{known} is linked to {_who(owner)} already: a planner is one user")
        return people.link_to_user(connection, known, user_id, session.now())


def planner_name(text: str) -> str:
    r"""A planner's name as circuits write it; ``UsageError`` if it is not one."""
    try:
        planner = planner_of(text)
    except BadValue:
        planner = None
    if planner is None or not is_printable(planner):
        raise UsageError(f"'{text}' is not a WorkStudio user name: it looks like CONTRACTOR\\user")
    return planner


def find_region(connection: Connection, name: str) -> tuple[str, int]:
    """A region's name and id, by its name in any case. Regions are made by circuit syncs only."""
    known = people.regions(connection)
    for region, number in known.items():
        if fold(region) == fold(name.strip()):
            return region, number
    raise UsageError(f"unknown region {name!r}: {_choice(known, 'there is none before the first circuit sync')}")


def _refuse_taken(connection: Connection, email: str, planner: str | None) -> None:
    if owner := people.user_with_email(connection, email):
        raise UsageError(f"the e-mail {email} is taken by {_who(owner)}")
    if planner and (owner := people.user_of_planner(connection, planner)):
        raise UsageError(f"the WorkStudio name {planner} is taken by {_who(owner)}")


def _text(what: str, value: str) -> str:
    try:
        text = clean_text(value)
    except BadValue as bad:
        raise UsageError(f"the {what} {bad}") from None
    if text is None:
        raise UsageError(f"the {what} is empty")
    if not is_printable(text):
        raise UsageError(f"the {what} {text!r} holds a control character")
    return text


def _guid(value: str) -> str | None:
    try:
        guid = clean_guid(value)
        return guid if guid is None else _text("GUID", guid)
    except BadValue as bad:
        raise UsageError(f"the GUID {bad}") from None


def _who(user: people.User) -> str:
    return f"{user.name} ({user.email})"


def _choice(names: Iterable[str], none: str) -> str:
    listed = ", ".join(names)
    return f"known are {listed}" if listed else none
