"""What the database remembers of itself."""

from sqlalchemy import Connection, text

_CLAIM = text("INSERT INTO database_settings (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING")
_READ = text("SELECT value FROM database_settings WHERE name = :name")
_WRITE = text("""
    INSERT INTO database_settings (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
""")


def claim(connection: Connection, name: str, value: str) -> str:
    """Sets ``name`` if nobody has; returns what is set."""
    connection.execute(_CLAIM, {"name": name, "value": value})
    return str(connection.scalar(_READ, {"name": name}))


def read_setting(connection: Connection, name: str) -> str | None:
    value: str | None = connection.scalar(_READ, {"name": name})
    return value


def write_setting(connection: Connection, name: str, value: str) -> None:
    connection.execute(_WRITE, {"name": name, "value": value})
