"""``python -m circuit_sync.cli``."""

from circuit_sync.cli import main

main()
