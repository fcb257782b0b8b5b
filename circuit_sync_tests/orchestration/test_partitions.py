from datetime import date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from circuit_sync.definitions import defs
from circuit_sync.domain.errors import UsageError
from circuit_sync.orchestration.assets.partitions import (
    dates_of,
    partition_tags,
    status_ranges,
    statuses_of,
    weekday_keys,
    weekdays,
)
from circuit_sync.simulator import Simulator

EASTERN = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("wanted", "ranges"),
    [
        (["ACTIV", "QC", "REWRK", "CLOSE"], [["ACTIV", "QC", "REWRK", "CLOSE"]]),
        (["CLOSE", "ACTIV"], [["ACTIV"], ["CLOSE"]]),
        (["QC", "CLOSE", "REWRK"], [["QC", "REWRK", "CLOSE"]]),
        (["ACTIV", "QC", "CLOSE"], [["ACTIV", "QC"], ["CLOSE"]]),
        ([], []),
    ],
)
def test_statuses_side_by_side_make_one_range(wanted: list[str], ranges: list[list[str]]) -> None:
    assert status_ranges(wanted) == ranges


def test_tags_of_a_run_tell_its_partitions_again() -> None:
    assert statuses_of(partition_tags(["QC"])) == {"QC"}
    assert statuses_of(partition_tags(["QC", "REWRK", "CLOSE"])) == {"QC", "REWRK", "CLOSE"}
    assert statuses_of({}) == {"ACTIV", "QC", "REWRK", "CLOSE"}
    assert dates_of(partition_tags(["2026-03-06", "2026-03-09"])) == [date(2026, 3, 6), date(2026, 3, 9)]
    assert dates_of(partition_tags(["2026-03-06"])) == [date(2026, 3, 6)]


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        (datetime(2026, 3, 9, 0, 0, tzinfo=EASTERN), "2026-03-09"),
        (datetime(2026, 3, 8, 23, 59, tzinfo=EASTERN), "2026-03-06"),
        (datetime(2026, 11, 2, 0, 0, tzinfo=EASTERN), "2026-11-02"),
        (datetime(2026, 11, 1, 12, 0, tzinfo=EASTERN), "2026-10-30"),
    ],
)
def test_todays_partition_exists_from_midnight_eastern_time_on_weekdays_only(now: datetime, latest: str) -> None:
    with dg.partition_loading_context(effective_dt=now):
        assert weekdays.get_partition_keys()[-1] == latest


def test_a_span_of_dates_holds_its_weekdays() -> None:
    keys = weekday_keys(date(2026, 3, 5), date(2026, 3, 10), today=date(2026, 3, 10))
    assert keys == ["2026-03-05", "2026-03-06", "2026-03-09", "2026-03-10"]


@pytest.mark.parametrize(
    ("first", "last", "complaint"),
    [
        (date(2026, 3, 7), date(2026, 3, 8), "Monday to Friday"),
        (date(2026, 3, 10), date(2026, 3, 11), "to today, 2026-03-10, are allowed"),
        (date(2025, 12, 31), date(2026, 1, 2), "CIRCUIT_SYNC_FIRST_SNAPSHOT"),
        (date(2026, 3, 10), date(2026, 3, 9), "later than the last"),
    ],
)
def test_dates_without_a_partition_are_refused_in_one_line(first: date, last: date, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        weekday_keys(first, last, today=date(2026, 3, 10))


@pytest.mark.parametrize(
    ("tags", "complaint"),
    [
        ({}, "the run names no partition: choose at least one"),
        (
            {"dagster/asset_partition_range_start": "QC", "dagster/asset_partition_range_end": "ACTIV"},
            "the run's range of partitions ends before it begins",
        ),
    ],
)
@pytest.mark.parametrize("job", ["sync_circuits", "sync_circuit_aggregates"])
def test_a_run_over_no_partition_fails_in_one_line(
    configured: Simulator, ephemeral: dg.DagsterInstance, job: str, tags: dict[str, str], complaint: str
) -> None:
    result = defs.resolve_job_def(job).execute_in_process(instance=ephemeral, tags=tags, raise_on_error=False)
    (failed,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failed.user_failure_data is not None
    assert (failed.user_failure_data.description or "").startswith(complaint)
