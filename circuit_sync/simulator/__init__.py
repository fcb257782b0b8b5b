"""A WorkStudio to develop, show and test against: real HTTP, a world that moves on, faults on request.

Part of the product: ``circuit-sync simulator``, and what ``demo``, ``dev`` and ``sync`` talk to when nothing
is configured.
"""

from circuit_sync.simulator.faults import Fault
from circuit_sync.simulator.invention import (
    COMMENT_MARKER,
    FREE_TEXT_MARKER,
    SERVICE_PASSWORD,
    SERVICE_USERNAME,
    default_accounts,
)
from circuit_sync.simulator.running import environment, run
from circuit_sync.simulator.server import Simulator
from circuit_sync.simulator.service import Call
from circuit_sync.simulator.tables import CIRCUIT_HEADING, UNIT_HEADING, circuits_table, units_table
from circuit_sync.simulator.view_requests import CIRCUITS_VIEW, PLANNED_UNITS_VIEW
from circuit_sync.simulator.world import DEFAULT_CIRCUITS, DEFAULT_SEED, World

__all__ = [
    "CIRCUITS_VIEW",
    "CIRCUIT_HEADING",
    "COMMENT_MARKER",
    "DEFAULT_CIRCUITS",
    "DEFAULT_SEED",
    "FREE_TEXT_MARKER",
    "PLANNED_UNITS_VIEW",
    "SERVICE_PASSWORD",
    "SERVICE_USERNAME",
    "UNIT_HEADING",
    "Call",
    "Fault",
    "Simulator",
    "World",
    "circuits_table",
    "default_accounts",
    "environment",
    "run",
    "units_table",
]
