"""What a sync did, as the metadata of its partitions in the UI and as the tables of the command line."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from circuit_sync.database.descriptions import columns_of
from circuit_sync.domain.printable import Lines, printable

Metadata = dict[str, Any]
ROW_COUNT = "dagster/row_count"
EMPTY = "empty"
"""Why a partition that is green holds nothing; it comes first."""
MOST_RECORDS = 50


def shared(result: Any) -> Metadata:
    """What holds for the whole sync: its log, its status, what it took. The same on each of its partitions."""
    events = f"SELECT * FROM sync_events WHERE sync_log_id = {result.sync_id} ORDER BY id"
    facts: Metadata = {"sync_log_id": result.sync_id, "events": events, "sync_status": result.sync_status}
    if result.message:
        facts["message"] = printable(result.message)
    for name, seconds in getattr(result, "durations", {}).items():
        facts[f"seconds_{name}"] = round(float(seconds), 3)
    for name, number in getattr(result, "calls", {}).items():
        facts[name] = int(number) if float(number).is_integer() else round(float(number), 3)
    return facts


def counted(counts: Mapping[str, int]) -> Metadata:
    """One partition's numbers."""
    return {name: int(number) for name, number in counts.items()}


def tables(**named: Lines) -> Metadata:
    """Tables of what changed or was refused; an empty one is left out."""
    return {name: table(records) for name, records in named.items() if records}


def table(records: Lines, *, most: int = MOST_RECORDS) -> dg.TableMetadataValue:
    """A table of at most ``most`` records; numbers stay, anything else is text."""
    shown = [dg.TableRecord({name: _cell(value) for name, value in record.items()}) for record in records[:most]]
    columns = list(dict.fromkeys(name for record in shown for name in record.data))
    return dg.MetadataValue.table(shown, dg.TableSchema([dg.TableColumn(name) for name in columns]))


def column_schema(relation: str) -> dict[str, dg.TableSchema]:
    """The columns of a table or view, as an asset's metadata: what the database's own comments say."""
    columns = [dg.TableColumn(column.name, column.kind, column.text) for column in columns_of(relation)]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def plain(metadata: Mapping[str, dg.MetadataValue[Any]]) -> Metadata:
    """Metadata as plain values again: tables as lists of dictionaries."""
    return {
        name: [dict(record.data) for record in value.records]
        if isinstance(value, dg.TableMetadataValue)
        else value.value
        for name, value in metadata.items()
    }


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    return value if isinstance(value, int | float) else printable(str(value))
