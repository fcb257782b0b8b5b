"""No value in any cell leads to a traceback: its row is stored or rejected, and the others are stored."""

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from circuit_sync.simulator import CIRCUIT_HEADING, UNIT_HEADING, circuits_table, units_table
from circuit_sync_tests.scenery import Desk, examples
from circuit_sync_tests.sync.units_desk import WO, circuits, sync_units

few = settings(
    max_examples=examples(12),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Each example is a sync of twenty rows."""

texts = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(max_codepoint=160), max_size=8),
    st.sampled_from(
        ["\0", "\ud800", "\x1b]0;x\x07", "\\N", "\\.", "1e999", "0x1F", "١٢", "9" * 400, "é" * 3000, "x" * 100_000]
    ),
    st.sampled_from(
        ["/Date(", "/Date()/", "/Date(0001-01-01T00:00:00+14:00)/", "9999-12-31T23:59:59-14:00", "2026-W01-1"]
    ),
)
cells = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from([10**18, -(10**30)]) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)


def spoilt(heading: tuple[str, ...]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Twenty rows, of each up to three cells anything."""
    row = st.dictionaries(st.sampled_from(heading), cells, min_size=1, max_size=3)
    return st.lists(row, min_size=20, max_size=20)


def _answered(table: dict[str, Any], heading: tuple[str, ...], rows: list[dict[str, Any]]) -> bytes:
    """The table with cells replaced, as an encoder writes it that minds nothing."""
    for data, row in zip(table["DataSet"]["Data"][1:], rows, strict=True):
        for name, value in row.items():
            data[heading.index(name)] = value
    return json.dumps(table).encode()


@few
@given(spoilt(CIRCUIT_HEADING))
def test_any_value_in_any_cell_of_a_circuit(desk: Desk, rows: list[dict[str, Any]]) -> None:
    table = circuits_table({"SS_WO": f"wo-{number}"} for number in range(21))
    desk.simulator.answer("ACTIV", _answered(table, CIRCUIT_HEADING, rows))

    counts = desk.sync(accept_departures=True).counts

    assert desk.circuit("wo-0")["departed_at"] is None
    assert counts["processed"] + counts["rows_rejected"] + counts["rows_duplicate"] == counts["rows_received"] == 21


@few
@given(spoilt(UNIT_HEADING))
def test_any_value_in_any_cell_of_a_unit(desk: Desk, rows: list[dict[str, Any]]) -> None:
    circuits(desk, WO)
    table = units_table({"SS_WO": WO, "JOBVEGETATIONUNITS_LENGTHWRK": 1} for _ in range(21))
    desk.simulator.answer(WO, _answered(table, UNIT_HEADING, rows))

    result = sync_units(desk, force=True)

    assert (result.counts["work_orders"], result.counts["failed"]) == (1, 0)
