"""``fetalsynth anatomy``: label maps measured, checked, edited and made anew.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from fetalsynth.errors import UserError

COMMANDS = {  # command: (module, what it does)
    "measure": ("anatomy_measure", "widths, diameters and volumes as a radiologist takes them"),
    "check": ("anatomy_check", "whether label maps are plausible brains, with limits stated"),
    "ventriculomegaly": ("anatomy_edit_ventriculomegaly", "ventricles pushed to a target width"),
    "microcephaly": ("anatomy_edit_microcephaly", "heads scaled to a target circumference"),
    "cerebellar-hypoplasia": ("anatomy_edit_cerebellum", "a smaller cerebellum, fluid around"),
    "ellipses": ("anatomy_ellipses", "head ellipses and ages to make ultrasound images for"),
    "external-csf": ("anatomy_edit_csf", "more fluid around the brain in the same head"),
    "population": ("anatomy_population", "a model of growth and shape learnt from label maps"),
    "sample": ("anatomy_sample", "new brains from a population model, checked one by one"),
    "interpolate": ("anatomy_interpolate", "one brain at ages between two label maps of it"),
}

_USAGE = "usage: fetalsynth anatomy COMMAND …"


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
        raise UserError(f"there is no command 'anatomy {name}'; {hint}")
    code: int = importlib.import_module(f"fetalsynth.cli.{COMMANDS[name][0]}").run(rest)
    return code


def _help() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "Label maps of fetal brains: measured in millimetres, checked, edited and made anew.",
            "",
            _USAGE,
            "",
            *(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()),
            "",
            "fetalsynth anatomy COMMAND --help tells what a command takes. Not for clinical use.",
        ]
    )
