"""``fetalsynth anatomy``: label maps measured, checked, edited and made anew.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

from fetalsynth.cli.subcommands import run_command

COMMANDS = {  # command: (module, what it does)
    "measure": ("anatomy_measure", "widths, diameters and volumes as a radiologist takes them"),
    "check": ("anatomy_check", "whether label maps are plausible brains, with limits stated"),
    "ventriculomegaly": ("anatomy_edit_ventriculomegaly", "ventricles pushed to a target width"),
    "microcephaly": ("anatomy_edit_microcephaly", "heads scaled to a target circumference"),
    "cerebellar-hypoplasia": ("anatomy_edit_cerebellum", "a smaller cerebellum, fluid around"),
    "ellipses": ("anatomy_ellipses", "head ellipses and ages to make ultrasound images for"),
    "head-circumference": ("anatomy_circumference", "heads measured on ultrasound images alone"),
    "external-csf": ("anatomy_edit_csf", "more fluid around the brain in the same head"),
    "population": ("anatomy_population", "a model of growth and shape learnt from label maps"),
    "sample": ("anatomy_sample", "new brains from a population model, checked one by one"),
    "interpolate": ("anatomy_interpolate", "one brain at ages between two label maps of it"),
}

_ABOUT = "Label maps of fetal brains: measured in millimetres, checked, edited and made anew."


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    return run_command("anatomy", COMMANDS, arguments, about=_ABOUT)
