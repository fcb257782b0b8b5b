"""How each row of a table is told apart for logical replication.

PostgreSQL refuses to update or delete rows of a published table, such as any is under ``FOR ALL TABLES``, that has
neither a primary key nor a replica identity. Ours have one from their migrations.
"""

from sqlalchemy import Connection, text

_WITHOUT = text("""
    SELECT c.oid::regclass::text
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace(:schema) AND c.relkind IN ('r', 'p') AND c.relreplident = 'd'
      AND NOT EXISTS (SELECT 1 FROM pg_index WHERE indrelid = c.oid AND indisprimary)
      AND pg_has_role(c.relowner, 'USAGE')
    ORDER BY 1
""")


def identify_rows(connection: Connection, schema: str) -> None:
    """Gives the tables of ``schema`` without a key that are ours to alter the whole row as their identity.

    For Dagster's: those that an old version made have no primary key.
    """
    for table in connection.scalars(_WITHOUT, {"schema": schema}).all():
        connection.execute(text(f"ALTER TABLE {table} REPLICA IDENTITY FULL"))
