"""The temporary tables of a transaction that stores circuits: what its statements leave for those that follow."""

from sqlalchemy import BigInteger, Boolean, Column, Connection, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

_TEMPORARY = MetaData()


def _temporary(name: str, *columns: Column[bool] | Column[str]) -> Table:
    circuit = Column("circuit_id", BigInteger)
    return Table(name, _TEMPORARY, circuit, *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP")


differing = _temporary("differing", Column("job_guid", Text), Column("is_edited", Boolean))
"""Stored circuits that the answer differs from, locked."""

withheld = _temporary("withheld", Column("field", Text), Column("kept", JSONB), Column("offered", JSONB))
"""Values of the API that a person's edit held back."""

changes = _temporary(
    "changes",
    Column("job_guid", Text),
    Column("old_status", Text),
    Column("new_status", Text),
    Column("changed", JSONB),
)
"""Circuits whose row is rewritten. ``changed``: field → {old, new}."""

created = _temporary("created")

departed = _temporary("departed", Column("api_status", Text))

stage_changes = _temporary(
    "stage_changes", Column("old_stage", Text), Column("new_stage", Text), Column("changed_by", Text)
)


def make_temporary_tables(connection: Connection) -> None:
    """Makes all of them, empty, until the transaction ends: once in a transaction."""
    _TEMPORARY.create_all(connection, checkfirst=False)
