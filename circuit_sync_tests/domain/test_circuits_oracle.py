"""Whole columns are normalised as a plain loop over rows would: the same circuits, rejected rows and fingerprints."""

import hashlib
from typing import Any

import orjson
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from circuit_sync.domain.circuit_fields import API_DATA_COLUMNS, CLEANERS, RejectedRow
from circuit_sync.domain.circuits import transform_collection
from circuit_sync.domain.values import BadValue, clean_json

COLUMNS = (*CLEANERS, *API_DATA_COLUMNS)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([1, 1.0, True, 0.0, -0.0, "1", "", " ", "\0", "\ud800", 2**63, -(2**63), 10**400, "50.005"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)
USUAL: dict[str, Any] = {"job_guid": "guid", "work_order": "2026-1", "api_status": "ACTIV"}


def row_by_row(frame: pd.DataFrame) -> tuple[list[dict[str, Any]], list[RejectedRow]]:
    """What ``transform_collection`` promises, in the plainest words."""
    circuits, rejected = [], []
    for number, raw in enumerate(frame.to_dict("records"), 1):
        circuit: dict[str, Any] = {"row": number}
        faults = []
        for field, clean in CLEANERS.items():
            try:
                value = raw.get(field)
                if isinstance(value, list | dict):
                    raise BadValue("not a plain value")
                circuit[field] = clean(value)
            except BadValue as bad:
                circuit[field] = None
                faults.append((field, str(bad)))
        data = {}
        for name in (name for name in raw if name not in CLEANERS):
            try:
                data[str(name)] = clean_json(raw[name])
            except BadValue as bad:
                faults.append((str(name), str(bad)))
        if faults:
            who = (circuit[name] for name in ("job_guid", "work_order", "extension"))
            rejected.append(RejectedRow("ACTIV", number, *faults[0], *who))
            continue
        circuit["api_data"] = orjson.dumps(data, option=orjson.OPT_SORT_KEYS).decode()
        content = "\x1f".join(str(circuit[name]) for name in (*CLEANERS, "api_data"))
        circuits.append(circuit | {"content_hash": hashlib.sha256(content.encode()).hexdigest()})
    return circuits, rejected


@st.composite
def answers(draw: st.DrawFn) -> pd.DataFrame:
    """A few rows, most values as a server sends them, some not."""
    names = draw(st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1))
    rows = draw(st.lists(st.dictionaries(st.sampled_from(names), JSON, max_size=3), max_size=6))
    return pd.DataFrame(
        {name: pd.Series([(USUAL | row).get(name) for row in rows], dtype=object) for name in [*USUAL, *names]},
        dtype=object,
    )


@given(answers())
def test_whole_columns_are_normalised_as_row_by_row(frame: pd.DataFrame) -> None:
    answer = transform_collection(frame, status="ACTIV", columns={})
    circuits, rejected = row_by_row(frame)
    assert answer.circuits.to_dict("records") == circuits
    assert list(answer.rejected) == rejected
