from typing import Any

import pytest

from circuit_sync.domain.retries import done_by

ALL = ["ACTIV", "QC", "REWRK", "CLOSE"]


@pytest.mark.parametrize(
    ("request_", "later", "done"),
    [
        ({"statuses": ["QC", "REWRK"]}, {"statuses": ["QC"]}, {"QC"}),
        ({"statuses": ["QC", "REWRK"]}, {"statuses": ALL}, {"QC", "REWRK"}),
        ({"statuses": ["QC"]}, {"statuses": ["ACTIV"]}, set()),
        ({"statuses": ["QC"], "force": True}, {"statuses": ["QC"], "force": False}, set()),
        ({"statuses": ["QC"]}, {"statuses": ["QC"], "force": True}, {"QC"}),
        ({"statuses": ["QC"], "accept_departures": True}, {"statuses": ["QC"]}, set()),
        ({"dates": ["2026-03-06", "2026-03-09"]}, {"dates": ["2026-03-09"]}, {"2026-03-09"}),
        ({"statuses": ["ACTIV"], "work_orders": []}, {"statuses": ALL, "work_orders": ["wo-1"]}, set()),
        ({"statuses": ALL, "work_orders": ["wo-1", "wo-2"]}, {"statuses": ALL, "work_orders": ["wo-2"]}, {"wo-2"}),
        ({"statuses": ALL, "work_orders": ["wo-1"]}, {"statuses": ALL, "work_orders": []}, set()),
        ({"statuses": ALL, "work_orders": ["wo-1"]}, {"statuses": ALL, "work_orders": [], "force": True}, {"wo-1"}),
        ({"statuses": ALL, "work_orders": ["wo-1"]}, {"statuses": ["QC"], "work_orders": [], "force": True}, set()),
    ],
)
def test_a_later_sync_does_what_both_were_asked_for(
    request_: dict[str, Any], later: dict[str, Any], done: set[str]
) -> None:
    assert done_by(later, request_) == done
