"""The answer of ``fetalsynth data check`` as a table for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fetalsynth.datasets.check import CheckResult

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_SHOWN = 5


def print_check(result: CheckResult, *, folder: Path) -> None:
    """Facts, findings with the first few files and what to do, and the verdict in the last line."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    facts = Table(title=escape(str(folder)), title_justify="left", show_header=False, box=None)
    for name, value in result.facts.items():
        facts.add_row(name, escape(value))
    console.print(facts)
    if result.findings:
        table = Table("", "found", "what to do", show_lines=True)
        for finding in result.findings:
            colour = _COLOURS[finding.severity]
            text = "\n".join([finding.message, *(f"  {line}" for line in _some(finding.files))])
            label = f"[{colour}]{finding.severity}[/{colour}]"
            table.add_row(label, escape(text), escape(finding.advice))
        console.print(table)
    console.print(f"{escape(str(folder))}: {result.verdict}", soft_wrap=True)


def _some(files: tuple[str, ...]) -> list[str]:
    more = len(files) - _SHOWN
    return [*files[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
