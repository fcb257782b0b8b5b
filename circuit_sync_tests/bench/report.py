"""How the benchmarks print: measures for the eye, ratios with the bound that the project promises."""

import sys


class Report:
    """Prints as it goes and remembers whether every promise was kept."""

    def __init__(self) -> None:
        self.kept = True

    def title(self, text: str) -> None:
        self._say(f"\n{text}")

    def line(self, text: str, value: float, unit: str) -> None:
        self._say(f"  {text:<84} {value:10.3f} {unit}")

    def ratio(self, text: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        kept = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
        self.kept &= kept
        bound = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
        self._say(f"  {text:<84} {value:10.2f}   ({bound}: {'kept' if kept else 'BROKEN'})")

    @staticmethod
    def _say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
