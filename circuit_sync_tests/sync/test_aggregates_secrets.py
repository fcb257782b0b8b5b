"""Units are never stored, and their free text never leaves the reader; issue 4 point 3, behaviour 16."""

import logging
from typing import Any

import pytest

from circuit_sync.domain.aggregates import compute_aggregates, with_roots
from circuit_sync.domain.errors import CircuitSyncError
from circuit_sync.simulator import FREE_TEXT_MARKER, UNIT_HEADING, units_table
from circuit_sync_tests.scenery import Desk
from circuit_sync_tests.sync.units_desk import WO, answer_units, circuits, split, sync_units, unit

OBJECT_ID = "{35BF992D-C9E9-4616-A12E-7696A6CECC1B}"


def dump(desk: Desk) -> str:
    """Every row of every table."""
    tables = desk.column("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    return "\n".join(str(desk.rows(f'SELECT t::text FROM "{table}" AS t')) for table in tables)


def spoilt(desk: Desk) -> None:
    """Answers with all that is reported: junk, unknown types, unknown circuits, short rows, failures, empty ones."""
    circuits(desk, WO, f"{WO} A", "2026-0102", "2026-0103", "2026-0104")
    answer_units(desk, WO, unit(feet=1, SSUNITS_OBJECTID=OBJECT_ID), split("A", 2))
    for name in ("2026-0102", "2026-0103", "2026-0104"):
        answer_units(desk, name, unit(feet=1))
    sync_units(desk)
    answer_units(
        desk,
        WO,
        unit(feet=2, SSUNITS_OBJECTID=OBJECT_ID),
        unit(feet=f"{FREE_TEXT_MARKER} 7 yards"),
        unit(feet=[FREE_TEXT_MARKER]),
        unit(SSUNITS_OBJECTID=None),
        unit("XPOLE"),
        split("Q", 3),
        unit("REM612", JOBVEGETATIONUNITS_NUMTREES=FREE_TEXT_MARKER),
    )
    answer_units(desk, "2026-0102", unit(), unit())
    desk.simulator.fault("short_row", match="2026-0102", times=1)
    desk.simulator.fault("missing_column", match="2026-0103", column="SS_EXT")
    answer_units(desk, "2026-0104")


def test_no_table_log_line_event_or_result_holds_a_units_free_text(
    desk: Desk, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    spoilt(desk)

    result = sync_units(desk, force=True)

    assert (result.sync_status, result.counts["failed"]) == ("warning", 1)
    told = (repr(result), repr(desk.session), str(desk.lines), caplog.text, *capfd.readouterr())
    for text in (*told, dump(desk)):
        assert FREE_TEXT_MARKER not in text
        assert OBJECT_ID not in text


@pytest.mark.parametrize("kind", ["half", "html", "no_heading", "not_json", "missing_column"])
def test_no_error_holds_a_units_free_text(desk: Desk, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    circuits(desk, WO)
    answer_units(desk, WO, unit(feet=1))
    desk.simulator.fault(kind, match=WO, **({"column": "VEGUNIT_UNIT"} if kind == "missing_column" else {}))

    with pytest.raises(CircuitSyncError) as raised:
        sync_units(desk)

    error: BaseException | None = raised.value
    while error is not None:
        assert FREE_TEXT_MARKER not in f"{error!r} {error} {vars(error)}"
        error = error.__cause__ or error.__context__
    assert FREE_TEXT_MARKER not in dump(desk) + caplog.text


def test_the_reader_hands_on_no_free_text(desk: Desk) -> None:
    answer_units(desk, WO, unit(feet=1, VEGUNIT_ASSNOTE=FREE_TEXT_MARKER))

    with desk.session.workstudio() as workstudio:
        table = workstudio.fetch_planned_units(WO)

    assert FREE_TEXT_MARKER in str(units_table([{}]))
    assert FREE_TEXT_MARKER not in table.frame.to_csv() + repr(table)


def test_whatever_columns_a_frame_has_only_the_known_ones_are_told() -> None:
    import pandas as pd

    row: dict[str, Any] = dict.fromkeys(UNIT_HEADING, FREE_TEXT_MARKER) | {
        "object_id": "1",
        "work_order": WO,
        "extension": "@",
        "unit": "SPM",
        "permission": "",
        "forester": "F",
        "assessed": FREE_TEXT_MARKER,
        "linear_ft": FREE_TEXT_MARKER,
        "acres": 0,
        "trees": 0,
    }
    circuit = with_roots(pd.DataFrame([[WO, 1, "@"]], columns=["work_order", "circuit_id", "extension"]))

    rows, faults = compute_aggregates(pd.DataFrame([row], dtype=object), circuit, {"SPM": "linear_ft"})

    assert len(faults.rejected) == 1
    assert FREE_TEXT_MARKER not in rows.to_csv() + repr(faults)
