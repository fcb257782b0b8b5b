"""The columns of tables and views, for Dagster's catalogue: what the database's own comments say."""

import dagster as dg

from circuit_sync.database.descriptions import columns_of


def column_schema(relation: str) -> dict[str, dg.TableSchema]:
    """The columns as an asset's metadata."""
    columns = [dg.TableColumn(column.name, column.kind, column.text) for column in columns_of(relation)]
    return {"dagster/column_schema": dg.TableSchema(columns)}
