"""``fetalsynth study``: a grid of trainings from one recipe, measured, analysed and reported.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from fetalsynth.errors import UserError

COMMANDS = {  # command: (module, what it does)
    "run": ("study_run", "run everything that is missing, or foretell it with --dry-run"),
    "status": ("study_status", "what is done, runs, waits or failed, while it runs and after"),
    "report": ("study_report", "results, analysis and report anew from what is there"),
}

_USAGE = "usage: fetalsynth study COMMAND …"


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
        raise UserError(f"there is no command 'study {name}'; {hint}")
    code: int = importlib.import_module(f"fetalsynth.cli.{COMMANDS[name][0]}").run(rest)
    return code


def _help() -> str:
    from fetalsynth.studies.recipe import load_study, study_names

    width = max(map(len, COMMANDS))
    studies = [f"  {name:<22}{load_study(name).description}" for name in study_names()]
    return "\n".join(
        [
            "Studies: grids of trainings from one recipe, measured, analysed and reported.",
            "",
            _USAGE,
            "",
            *(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()),
            "",
            "Studies that ship with the package (or the path of your own .yaml):",
            *studies,
            "",
            "fetalsynth study COMMAND --help tells what a command takes. Not for clinical use.",
        ]
    )
