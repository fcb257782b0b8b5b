"""The files beside the code keep step with it."""

import re
from pathlib import Path

from circuit_sync.settings import Settings

PROJECT = Path(__file__).parent.parent


def test_env_example_lists_every_setting():
    """``CIRCUIT_SYNC_BUNDLED_SIMULATOR`` is set by ``dev`` and ``demo``, not by people."""
    listed = re.findall(r"^#([A-Z_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE)

    assert {name.lower() for name in listed} == set(Settings.model_fields) - {"circuit_sync_bundled_simulator"}


def test_constraints_pin_every_dependency_by_name_and_version_only():
    lines = (PROJECT / "constraints.txt").read_text().splitlines()

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
