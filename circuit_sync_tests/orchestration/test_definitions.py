import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from circuit_sync.definitions import defs
from circuit_sync_tests.orchestration.dagster_internals import create_execution_plan

WITHOUT_NETWORK = """
import socket

def refuse(*arguments, **options):
    raise AssertionError("definitions touch the network")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
from circuit_sync.definitions import defs
defs.resolve_all_job_defs()
"""


def test_definitions_load_without_environment_network_or_database(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error::dagster.BetaWarning", "-c", WITHOUT_NETWORK],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_definition_is_valid() -> None:
    dg.Definitions.validate_loadable(defs)


def test_specs_of_the_assets() -> None:
    told = {
        spec.key.to_user_string(): {
            "group": spec.group_name,
            "kinds": sorted(spec.kinds),
            "after": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
            "partitions": type(spec.partitions_def).__name__,
        }
        for spec in defs.resolve_all_asset_specs()
    }
    assert told == {
        "circuits": {
            "group": "workstudio",
            "kinds": ["http", "pandas", "postgres"],
            "after": [],
            "partitions": "StaticPartitionsDefinition",
        },
        "circuit_aggregates": {
            "group": "workstudio",
            "kinds": ["http", "pandas", "postgres"],
            "after": ["circuits"],
            "partitions": "StaticPartitionsDefinition",
        },
        "daily_snapshots": {
            "group": "progress",
            "kinds": ["postgres"],
            "after": ["circuit_aggregates", "circuits"],
            "partitions": "TimeWindowPartitionsDefinition",
        },
    } | {
        asset: {
            "group": "progress",
            "kinds": ["matplotlib", "postgres"],
            "after": [before],
            "partitions": "TimeWindowPartitionsDefinition",
        }
        for asset, before in {
            "regional_daily": "daily_snapshots",
            "planner_daily": "daily_snapshots",
            "season_daily": "daily_snapshots",
            "regional_weekly": "regional_daily",
            "planner_weekly": "planner_daily",
        }.items()
    }
    assert all(spec.description for spec in defs.resolve_all_asset_specs())


def test_a_prefix_names_this_installations_assets_and_changes_no_op(tmp_path: Path) -> None:
    tell = (
        "from circuit_sync.definitions import defs; defs.resolve_all_job_defs();"
        "print(*sorted(key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()));"
        "print(*defs.resolve_job_def('sync_circuits').graph.node_dict)"
    )
    environment = {"PATH": os.environ["PATH"], "CIRCUIT_SYNC_ASSET_PREFIX": "transmission"}
    done = subprocess.run(
        [sys.executable, "-c", tell], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    keys, nodes = done.stdout.splitlines()
    assert "transmission/circuits" in keys.split()
    assert all(key.startswith("transmission/") for key in keys.split())
    assert "circuits" in nodes.split(), "the run configuration names the ops as before"


def test_every_asset_takes_many_partitions_in_a_single_run() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        assert graph.get(key).backfill_policy == dg.BackfillPolicy.single_run()


def test_ops_of_each_job_in_their_order() -> None:
    told = {job.name: _steps(job.name) for job in defs.resolve_all_job_defs() if not job.name.startswith("__")}
    assert told == {
        "sync_circuits": ["circuits.open_circuit_sync", "circuits.fetch_circuits", "circuits.store_circuits"],
        "sync_circuit_aggregates": [
            "circuit_aggregates.open_aggregate_sync",
            "circuit_aggregates.fetch_and_store_aggregates",
            "circuit_aggregates.complete_aggregate_sync",
        ],
        "create_daily_snapshots": [
            "daily_snapshots.open_snapshots",
            "daily_snapshots.take_snapshots",
        ],
        "preview_circuits": ["compare_circuits"],
        "sync_work_orders": ["open_work_orders", "store_work_orders"],
        "prune_events": ["delete_old_events"],
    }


def test_no_op_retries_by_itself_or_takes_a_pool() -> None:
    for job in defs.resolve_all_job_defs():
        for op in job.all_node_defs:
            if isinstance(op, dg.OpDefinition):
                assert op.retry_policy is None
                assert op.pool is None


def test_schedules_run_by_themselves_in_eastern_time() -> None:
    told = {
        schedule.name: (schedule.cron_schedule, schedule.execution_timezone, schedule.job_name)
        for schedule in defs.schedules or ()
        if isinstance(schedule, dg.ScheduleDefinition) and schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    }
    assert told == {
        "sync_circuits_activ_morning": ("30 4 * * 1-5", "America/New_York", "sync_circuits"),
        "sync_circuits_activ_afternoon": ("30 16 * * 1-5", "America/New_York", "sync_circuits"),
        "sync_circuits_weekly": ("30 4 * * 1", "America/New_York", "sync_circuits"),
        "create_daily_snapshots": ("0 5 * * 1-5", "America/New_York", "create_daily_snapshots"),
        "prune_events_nightly": ("15 2 * * *", "America/New_York", "prune_events"),
    }


def test_sensors_run_by_themselves() -> None:
    told = {
        sensor.name: [target.job_name for target in sensor.targets]
        for sensor in defs.sensors or ()
        if sensor.default_status is dg.DefaultSensorStatus.RUNNING
    }
    assert told == {
        "aggregates_after_circuits": ["sync_circuit_aggregates"],
        "snapshots_after_sync": ["create_daily_snapshots"],
        "departed_circuits": ["sync_circuits"],
        "close_abandoned_syncs": [],
        "retry_failed_syncs": [
            "sync_circuits",
            "sync_circuit_aggregates",
            "create_daily_snapshots",
            "sync_work_orders",
        ],
        "deliver_events": [],
        "freshness": [],
    }


def _steps(job_name: str) -> list[str]:
    """The steps of a job, its asset checks left out."""
    config = (
        {"ops": {"open_work_orders": {"config": {"work_orders": ["2026-1"]}}}} if job_name == "sync_work_orders" else {}
    )
    plan = create_execution_plan(defs.resolve_job_def(job_name), run_config=config)
    steps = (step.key for step in plan.get_all_steps_in_topo_order())
    return [step for step in steps if not step.startswith(("circuits_", "circuit_aggregates_", "daily_snapshots_"))]
