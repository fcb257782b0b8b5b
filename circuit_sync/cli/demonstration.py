"""``circuit-sync demo``: one whole sync, shown."""

from circuit_sync.cli import terminal
from circuit_sync.cli.overview import show_overview
from circuit_sync.environment import named_server, prepared_environment
from circuit_sync.settings import load_settings


def run_demo(*, verbose: bool) -> int:
    """Circuits of every enabled status, the aggregates they need, the latest snapshot; then what the database holds."""
    settings = load_settings()
    configured, _ = named_server(settings)
    server = configured.base_url if configured else "the bundled simulator (an invented WorkStudio)"
    database = "the configured PostgreSQL" if settings.circuit_sync_database_url else "an embedded PostgreSQL"
    with prepared_environment(settings):
        # The definitions are loaded where the first partition is known.
        from circuit_sync.cli.runs import at_work
        from circuit_sync.orchestration.runs.resources import sensor_session

        with at_work(verbose=verbose) as runner:
            terminal.note(f"one whole sync from {server} into {database}, each step a Dagster run")
            status = runner.everything(settings.workstudio_statuses)
            with sensor_session() as session:
                show_overview(session)
    if status == 0:
        terminal.say(
            "Done. Go on with `make dev`: the Dagster UI on http://127.0.0.1:3000 shows these runs, their partitions"
        )
        terminal.say("and what each did; schedules and sensors keep the database up to date while it runs.")
    return status
