"""Storing 20,000 circuits: ours against the same upsert row by row through the ORM, and against a bare COPY and upsert."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pandas as pd
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Session as OrmSession

from circuit_sync.database import sync_logs
from circuit_sync.database.connection import Database
from circuit_sync.database.staging import copy_rows, stage_circuits
from circuit_sync.database.tables import circuits, metadata
from circuit_sync.database.urls import parse_url
from circuit_sync.domain.circuits import CircuitAnswer, transform_collection
from circuit_sync.sync import circuits as circuit_sync_case
from circuit_sync.sync.circuits import CircuitSyncRequest
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.ddotable import read_table
from circuit_sync.workstudio.simulator import circuits_table
from circuit_sync.workstudio.views import CIRCUITS

ROWS = 20_000


class Base(DeclarativeBase):
    metadata = metadata


class Circuit(Base):
    """The table as the ORM sees it."""

    __table__ = circuits


def answer(edition: int) -> CircuitAnswer:
    """20,000 ACTIV circuits; in each edition every one of them has moved on, in miles, percentage and date of edit."""
    rows = [
        {
            "SS_WO": f"2026-{number:05}",
            "REGION": f"Region {number % 4}",
            "SS_TAKENBY": f"CONTRACTOR\\planner{number % 40}",
            "VEGJOB_LENGTH": 57.79,
            "VEGJOB_LENGTHCOMP": 10 + edition + number % 7,
            "VEGJOB_PRCENT": 20 + edition,
            "SS_EDITDATE": f"/Date(2026-11-20T21:{edition:02}:22.216Z)/",
            "UNITCOUNTS_NUMTREES": edition,
        }
        for number in range(ROWS)
    ]
    table = read_table(circuits_table(rows), fields=CIRCUITS.fields, required=CIRCUITS.required)
    return transform_collection(table.frame, status="ACTIV", columns={})


def ours(session: Session, content: CircuitAnswer) -> tuple[float, dict[str, int]]:
    """Seconds from the normalised frame to the commit, and what the sync counted."""
    with session.database.transaction() as connection:
        log = circuit_sync_case._open_log(connection, session, CircuitSyncRequest(["ACTIV"]))
    fetched = circuit_sync_case._Fetched([content], [], {}, 0.0)
    begun = time.perf_counter()
    with session.database.transaction() as connection:
        circuit_sync_case._stage(connection, log.id, fetched)
    staged = time.perf_counter()
    result = circuit_sync_case.store_circuits(session, log.id)
    print("   stage", round(staged - begun, 3), "store", round(time.perf_counter() - staged, 3))
    return time.perf_counter() - begun, dict(result.counts)


def bare(database: Database, content: CircuitAnswer) -> float:
    """Seconds of COPY into a table like ours and one INSERT … ON CONFLICT of the circuits alone."""
    columns = [name for name in circuit_sync_case.STAGED_COLUMNS[4:] if name != "region"]
    values = list(zip(*(content.circuits[name].tolist() for name in columns), strict=True))
    begun = time.perf_counter()
    with database.transaction() as connection:
        connection.execute(text(f"CREATE TEMPORARY TABLE bare ON COMMIT DROP AS SELECT {', '.join(columns)} FROM circuits WITH NO DATA"))
        copy_rows(connection, "bare", columns, values)
        connection.execute(
            text(f"""
                INSERT INTO circuits ({", ".join(columns)}) SELECT {", ".join(columns)} FROM bare
                ON CONFLICT (job_guid) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in columns if c != "job_guid")}
            """)
        )
    return time.perf_counter() - begun


def row_by_row(database: Database, content: CircuitAnswer) -> float:
    """Seconds of the same upsert as an ORM program writes it: find, set, flush, one circuit after the other."""
    columns = [name for name in circuit_sync_case.STAGED_COLUMNS[4:] if name not in {"region", "api_data"}]
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*(content.circuits[n].tolist() for n in columns), strict=True)]
    engine = create_engine(parse_url(database.url))
    begun = time.perf_counter()
    with OrmSession(engine) as session:
        for row in rows:
            circuit = session.scalars(select(Circuit).where(circuits.c.job_guid == row["job_guid"])).one_or_none()
            if circuit is None:
                circuit = Circuit()
                session.add(circuit)
            for name, value in row.items():
                setattr(circuit, name, value)
            session.flush()
        session.commit()
    engine.dispose()
    return time.perf_counter() - begun
