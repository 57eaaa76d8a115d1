"""``fetalsynth study``: a grid of trainings from one recipe, measured, analysed and reported.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

from fetalsynth.cli.subcommands import run_command

COMMANDS = {  # command: (module, what it does)
    "run": ("study_run", "run everything that is missing, or foretell it with --dry-run"),
    "status": ("study_status", "what is done, runs, waits or failed, while it runs and after"),
    "report": ("study_report", "results, analysis and report anew from what is there"),
}

_ABOUT = "Studies: grids of trainings from one recipe, measured, analysed and reported."


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    return run_command("study", COMMANDS, arguments, about=_ABOUT, more=_shipped)


def _shipped() -> list[str]:
    from fetalsynth.studies.recipe import load_study, study_names

    return [
        "Studies that ship with the package (or the path of your own .yaml):",
        *(f"  {name:<22}{load_study(name).description}" for name in study_names()),
    ]
