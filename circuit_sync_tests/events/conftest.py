"""Users of every role, circuits of two regions, and a gateway that serves the test's database."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from circuit_sync.database.connection import Database
from circuit_sync_tests.events.listening import gateway_running, token_of


@dataclass
class Place:
    """Circuits 1 and 2 lie in the North, 3 in the South. ``tokens``: user's first name → token."""

    database: Database
    tokens: dict[str, str] = field(default_factory=dict)

    def execute(self, statement: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(text(statement))


@pytest.fixture
def place(database: Database) -> Place:
    """A planner holds circuit 1; a second planner looks after the South; a foreman has nothing; two administrators."""
    place = Place(database)
    place.execute("""
        INSERT INTO regions (id, name, code) VALUES (1, 'North', 'N'), (2, 'South', 'S');
        INSERT INTO users (id, name, email, role) VALUES
            (1, 'Root', 'root@example.com', 'sudo_admin'), (2, 'Ada', 'ada@example.com', 'admin'),
            (3, 'Pat', 'pat@example.com', 'planner'), (4, 'Sue', 'sue@example.com', 'planner'),
            (5, 'Gus', 'gus@example.com', 'general_foreman'), (6, 'Gil', 'gil@example.com', 'general_foreman');
        INSERT INTO user_regions (user_id, region_id) VALUES (4, 2), (6, 1);
        INSERT INTO circuits (id, job_guid, work_order, region_id, api_status, content_hash) VALUES
            (1, '{1}', '2026-1', 1, 'ACTIV', ''), (2, '{2}', '2026-2', 1, 'ACTIV', ''),
            (3, '{3}', '2026-3', 2, 'QC', ''), (4, '{4}', '2026-4', NULL, 'QC', '');
        INSERT INTO circuit_ui_states (circuit_id, workflow_stage, stage_changed_at)
            VALUES (1, 'active', now()), (2, 'active', now()), (3, 'qc', now()), (4, 'qc', now());
        INSERT INTO circuit_user (circuit_id, user_id, assignment_source) VALUES (1, 3, 'api_sync');
        ALTER TABLE regions ALTER id RESTART 11; ALTER TABLE users ALTER id RESTART 11;
        ALTER TABLE circuits ALTER id RESTART 11;
    """)
    for name in ("root", "ada", "pat", "sue", "gus", "gil"):
        place.tokens[name] = token_of(database, f"{name}@example.com")
    return place


@pytest.fixture
def url(place: Place) -> Iterator[str]:
    """A gateway that looks at rights five times a second."""
    with gateway_running(place.database, rights_seconds=0.2, heartbeat_seconds=0.2) as url:
        yield url
