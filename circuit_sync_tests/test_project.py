"""The files beside the code keep step with it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", *(f"docs/{path.name}" for path in PROJECT.glob("docs/*.md"))])
def test_documents_name_files_and_behaviours_that_are_there(document):
    text = (PROJECT / document).read_text()
    named = re.findall(r"`(?:circuit_sync/)?([a-z_]+(?:/[a-z_0-9]+)+\.py)`", text)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]

    assert [name for name in named if not (PROJECT / "circuit_sync" / name).is_file()] == []
    assert [link for link in links if not (PROJECT / document).parent.joinpath(link).exists()] == []


def test_cited_behaviours_are_there():
    rules = set(re.findall(r"^(\d+)\. ", (PROJECT / "docs" / "behaviour.md").read_text(), re.MULTILINE))
    code = [*PROJECT.glob("circuit_sync/**/*.py"), *PROJECT.glob("circuit_sync_tests/**/*.py")]
    cited = {number for path in code for number in re.findall(r"\bbehaviour (\d+)", path.read_text())}

    assert cited
    assert cited <= rules


def test_every_decision_is_in_the_index_and_in_one_style():
    folder = PROJECT / "docs" / "adr"
    index = (folder / "README.md").read_text()
    decisions = sorted(folder.glob("0*.md"))

    assert [path.name for path in decisions if f"({path.name})" not in index] == []
    assert [path.name for path in decisions if "\n## Decision\n" not in path.read_text()] == []


@pytest.mark.parametrize("module", ["cli.overview", "sync.people.users", "sync.circuits.edits", "environment"])
def test_what_stores_nothing_of_an_answer_and_migrates_nothing_starts_without_pandas_and_alembic(module):
    script = f"import sys, circuit_sync.{module}; print({{'pandas', 'alembic'}} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said == "set()\n"
