"""Storing 20,000 circuits: against the same work row by row through the ORM, and against a bare COPY and upsert."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Session as OrmSession

from circuit_sync.database.circuits.staging import STAGED_COLUMNS, copy_rows
from circuit_sync.database.connection import Database
from circuit_sync.database.tables import metadata
from circuit_sync.database.urls import parse_url
from circuit_sync.domain.circuits import transform_collection
from circuit_sync.domain.requests import CircuitSyncRequest
from circuit_sync.simulator import CIRCUITS_VIEW, PLANNED_UNITS_VIEW, Simulator, circuits_table
from circuit_sync.sync.circuits.sync import fetch_circuits, open_circuit_sync, store_circuits
from circuit_sync.sync.session import Session
from circuit_sync.workstudio.ddotable import read_table
from circuit_sync.workstudio.server import Credential, Server
from circuit_sync.workstudio.views import CIRCUITS
from circuit_sync_tests.bench.measuring import in_turns, medians, seconds
from circuit_sync_tests.bench.report import Report

CIRCUIT_COUNT = 20_000
ORM_SAMPLE = 700
COLUMNS = tuple(name for name in STAGED_COLUMNS[4:] if name != "region")


def table(edition: int) -> dict[str, Any]:
    """20,000 ACTIV circuits; in each edition every one has moved on: miles, percentage, units, date of edit."""
    return circuits_table(
        [
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
            for number in range(CIRCUIT_COUNT)
        ]
    )


def bench_normalising(report: Report) -> None:
    """The rows of one answer, from what JSON gave to what is staged."""
    answer = orjson.dumps(table(0))
    raw = read_table(orjson.loads(answer), fields=CIRCUITS.fields, required=CIRCUITS.required).frame
    ours, decoding = in_turns(
        lambda: seconds(lambda: transform_collection(raw, status="ACTIV", columns={})),
        lambda: seconds(lambda: orjson.loads(answer)),
        times=5,
    )
    report.line(f"{CIRCUIT_COUNT} circuits normalised", ours, "s")
    report.ratio("  ours / decoding the answer's JSON with orjson", ours / decoding, at_most=1)


def bench_store(database: Database, report: Report) -> None:
    """The three of them on one database, each storing an edition in which all circuits changed."""
    with Simulator() as simulator:
        server = Server(simulator.base_url, CIRCUITS_VIEW, PLANNED_UNITS_VIEW)
        credential = Credential(*next(iter(simulator.accounts.items())))
        session = Session(database, server, credential, identity="bench")
        for edition in (0, 1):
            simulator.answer("ACTIV", table(edition))
            _sync(session)
        rounds = []
        for edition in (2, 5, 8):
            simulator.answer("ACTIV", table(edition))
            _tidy(database)
            whole, in_database, counts = _sync(session)
            assert counts["updated"] == CIRCUIT_COUNT
            _, unchanged, counts = _sync(session)
            assert counts["unchanged"] == CIRCUIT_COUNT
            _tidy(database)
            bare = _bare(database, edition + 1)
            _tidy(database)
            rounds.append((whole, in_database, unchanged, bare, _row_by_row(database, edition + 2)))
    whole, changed, idle, bare, orm_sample = medians(rounds)
    orm = orm_sample * CIRCUIT_COUNT / ORM_SAMPLE
    report.line(f"{CIRCUIT_COUNT} circuits all changed, whole sync", whole, "s")
    report.line("  of which in the database (staged, stored, linked, history, events)", changed, "s")
    report.line("  the same with nothing changed", idle, "s")
    report.ratio("  ORM row by row, the same work / ours", orm / changed, at_least=40)
    report.ratio("  ours / bare COPY and INSERT … ON CONFLICT of the circuits alone", changed / bare, at_most=3)


def _tidy(database: Database) -> None:
    """What autovacuum has done long before the next sync, hours later."""
    with database.lock_connection() as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _sync(session: Session) -> tuple[float, float, Mapping[str, int]]:
    begun = time.perf_counter()
    sync_id = open_circuit_sync(session, CircuitSyncRequest(["ACTIV"]))
    opened = time.perf_counter()
    fetch_circuits(session, sync_id)
    result = store_circuits(session, sync_id)
    ended = time.perf_counter()
    return ended - begun, ended - opened - result.durations["fetch"], result.counts


def _normalised(edition: int) -> list[tuple[Any, ...]]:
    raw = read_table(table(edition), fields=CIRCUITS.fields, required=CIRCUITS.required)
    frame = transform_collection(raw.frame, status="ACTIV", columns={}).circuits
    return list(zip(*(frame[name].tolist() for name in COLUMNS), strict=True))


def _bare(database: Database, edition: int) -> float:
    rows = _normalised(edition)
    names = ", ".join(COLUMNS)
    begun = time.perf_counter()
    with database.transaction() as connection:
        connection.execute(
            text(f"CREATE TEMPORARY TABLE bare ON COMMIT DROP AS SELECT {names} FROM circuits WITH NO DATA")
        )
        copy_rows(connection, "bare", COLUMNS, rows)
        connection.execute(
            text(f"""
                INSERT INTO circuits ({names}) SELECT {names} FROM bare
                ON CONFLICT (job_guid) DO UPDATE
                SET {", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "job_guid")}
            """)
        )
    return time.perf_counter() - begun


class _Model(DeclarativeBase):
    metadata = metadata


@cache
def _model(table_name: str) -> type[Any]:
    return type(table_name.title(), (_Model,), {"__table__": metadata.tables[table_name]})


def _row_by_row(database: Database, edition: int) -> float:
    """Seconds for ``ORM_SAMPLE`` circuits as the job this replaces did it, circuit by circuit: find, update, UI state,
    planner; with what it lacked and ours has: the history row and the event.
    """
    circuits, states, users, planners, history, events = (
        _model(name)
        for name in ("circuits", "circuit_ui_states", "users", "unlinked_planners", "circuit_history", "sync_events")
    )
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in _normalised(edition)[:ORM_SAMPLE]]
    progress = ("total_miles", "miles_planned", "percent_complete", "total_acres", "taken_by", "api_status")
    engine = create_engine(parse_url(database.url))
    begun = time.perf_counter()
    with OrmSession(engine) as session:
        for row in rows:
            now = datetime.now(UTC)
            circuit = session.scalars(select(circuits).filter_by(job_guid=row["job_guid"])).one()
            for name, value in row.items():
                if name != "api_data":
                    setattr(circuit, name, value)
            session.flush()
            state = session.get(states, circuit.id)
            planner = row["taken_by"].lower()
            if session.scalars(select(users).where(func.lower(users.ws_username) == planner)).first() is None:
                unlinked = session.scalars(select(planners).where(func.lower(planners.ws_username) == planner)).one()
                unlinked.last_seen_at = now
            newest = session.scalars(select(history).filter_by(circuit_id=circuit.id, valid_to=None)).one()
            newest.valid_to = now
            session.flush()
            session.add(
                history(
                    circuit_id=circuit.id,
                    valid_from=now,
                    workflow_stage=state.workflow_stage,
                    region_id=circuit.region_id,
                    is_excluded=circuit.is_excluded,
                    **{name: row[name] for name in progress},
                )
            )
            session.add(events(name="circuit.updated", channels=["circuit"], payload={}, circuit_id=circuit.id))
            session.commit()
    engine.dispose()
    return time.perf_counter() - begun
