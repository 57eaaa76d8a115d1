"""``fetalsynth model``: models that ship with the package.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

from fetalsynth.cli.subcommands import run_command

COMMANDS = {  # command: (module, what it does)
    "list": ("model_list", "the models that this installation has"),
    "pack": ("model_pack", "a trained model of images in compact form, fit to be shipped"),
}

_ABOUT = "Models that ship with the package; fetalsynth generate takes them by name."


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    return run_command("model", COMMANDS, arguments, about=_ABOUT)
