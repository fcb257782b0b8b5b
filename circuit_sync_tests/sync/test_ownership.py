"""One database, one server: whose it is, is settled when something is first stored (behaviour 17)."""

from collections.abc import Callable

import pytest

from circuit_sync.domain.errors import CircuitSyncError, TransientError, UsageError
from circuit_sync.simulator import Simulator, World
from circuit_sync.sync.installation.ownership import adopt_database
from circuit_sync_tests.scenery import Desk, session_for

OWNER = "SELECT value FROM database_settings WHERE name = 'workstudio'"


def mistyped(desk: Desk) -> Desk:
    """The same database, with a base URL where nothing listens."""
    return Desk(session_for(desk.database, "http://127.0.0.1:9/DDOProtocol/", desk.clock), desk.simulator, desk.clock)


def test_a_mistyped_url_claims_nothing(desk: Desk) -> None:
    with pytest.raises(TransientError):
        mistyped(desk).sync("ACTIV")
    assert desk.log()["sync_status"] == "failed"

    assert desk.column(OWNER) == []
    assert desk.sync("ACTIV").sync_status == "completed"
    assert desk.column(OWNER) == [desk.simulator.base_url.lower()]


def an_empty_answer(desk: Desk) -> None:
    desk.answer("ACTIV", [])


def a_table_of_another_view(desk: Desk) -> None:
    desk.answer("ACTIV", [], heading=["A", "B"])


def only_bad_rows(desk: Desk) -> None:
    desk.answer("ACTIV", [{"SS_WO": ""}])


@pytest.mark.parametrize("spoil", [an_empty_answer, a_table_of_another_view, only_bad_rows])
def test_what_stores_nothing_claims_nothing(desk: Desk, spoil: Callable[[Desk], None]) -> None:
    spoil(desk)
    try:
        desk.sync("ACTIV")
    except CircuitSyncError:
        assert desk.log()["sync_status"] == "failed"

    assert desk.column("SELECT 1 FROM circuits") == []
    assert desk.column(OWNER) == []


def test_a_preview_claims_nothing(desk: Desk) -> None:
    assert desk.preview("ACTIV").counts["created"]

    assert desk.column(OWNER) == []


def test_of_two_syncs_that_began_in_an_untied_database_the_first_to_store_keeps_it(desk: Desk) -> None:
    waiting = desk.fetch("ACTIV")
    desk.session.leave_store()
    with Simulator(World(circuits=5), advance=False) as other:
        elsewhere = Desk(session_for(desk.database, other.base_url, desk.clock), other, desk.clock)
        elsewhere.sync("ACTIV")
        before = desk.contents()
        desk.session.hold_store()
        with pytest.raises(UsageError, match="this database was filled by"):
            desk.store(waiting)

    assert desk.contents() == before
    assert desk.log(waiting)["sync_status"] == "failed"


def test_an_empty_database_that_was_adopted_refuses_another(desk: Desk) -> None:
    adopt_database(desk.session)

    with pytest.raises(UsageError, match="this database was filled by"):
        mistyped(desk).sync("ACTIV")
