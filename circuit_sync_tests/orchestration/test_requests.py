"""A request becomes runs, and each run the request again."""

from datetime import date, timedelta

import dagster as dg
from hypothesis import given
from hypothesis import strategies as st

from circuit_sync.domain.eastern import is_weekday
from circuit_sync.domain.requests import (
    TRIGGERS,
    AggregateSyncRequest,
    CircuitSyncRequest,
    SnapshotRequest,
    SyncRequest,
    stored_request,
)
from circuit_sync.domain.statuses import STATUS_CODES
from circuit_sync.orchestration.runs.requests import SyncRun, request_of, runs_of

STATUSES = st.sets(st.sampled_from(STATUS_CODES), min_size=1).map(
    lambda chosen: [code for code in STATUS_CODES if code in chosen]
)
WHO = {"trigger": st.sampled_from(TRIGGERS), "retry_of": st.none() | st.integers(1, 10**9)}
WEEKDAYS = st.tuples(st.dates(date(2020, 1, 6), date(2030, 1, 1)), st.integers(0, 20)).map(
    lambda span: [day for day in (span[0] + timedelta(days) for days in range(span[1] + 3)) if is_weekday(day)]
)
REQUESTS: st.SearchStrategy[SyncRequest] = st.one_of(
    st.builds(
        CircuitSyncRequest,
        STATUSES,
        st.booleans(),
        st.booleans(),
        triggered_by=st.none() | st.just("ana@example.com"),
        **WHO,  # type: ignore[arg-type]
    ),
    st.builds(AggregateSyncRequest, STATUSES, st.just([]), st.booleans(), **WHO),  # type: ignore[arg-type]
    st.builds(
        AggregateSyncRequest,
        st.just(list(STATUS_CODES)),
        st.lists(st.text(min_size=1), min_size=1),
        st.booleans(),
        **WHO,  # type: ignore[arg-type]
    ),
    st.builds(SnapshotRequest, WEEKDAYS, **WHO),  # type: ignore[arg-type]
)


def told(request: SyncRequest) -> tuple[object, ...]:
    return (type(request), request.asked(), request.trigger, request.triggered_by, request.retry_of)


def read(run: SyncRun) -> SyncRequest:
    asked = request_of(dg.DagsterRun(run.job_name, tags=run.tags, run_config=run.run_config))
    assert asked is not None
    return asked


@given(REQUESTS)
def test_a_run_asks_for_what_it_was_made_of(request: SyncRequest) -> None:
    for run in runs_of(request):
        assert told(read(run)) == told(run.asks)


@given(REQUESTS)
def test_the_runs_of_a_request_ask_for_all_of_it_and_for_nothing_twice(request: SyncRequest) -> None:
    runs = runs_of(request)
    assert all(request.covers(run.asks) for run in runs)
    if len(runs) == 1:
        assert told(read(runs[0])) == told(request)
    else:
        statuses = [status for run in runs for status in read(run).asked()["statuses"]]
        assert statuses == request.asked()["statuses"]


@given(REQUESTS)
def test_a_request_is_stored_and_read_again(request: SyncRequest) -> None:
    asked = request.asked() | {"counts": {"stored": 3}}
    who = {"trigger": request.trigger, "triggered_by": request.triggered_by, "retry_of": request.retry_of}
    assert told(stored_request(request.sync_type, asked, **who)) == told(request)
