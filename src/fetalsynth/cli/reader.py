"""``fetalsynth reader``: reader studies made, audited, served and analysed.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

from fetalsynth.cli.subcommands import run_command

COMMANDS = {  # command: (module, what it does)
    "new": ("reader_new", "a blinded study from real and synthetic images or volumes"),
    "audit": ("reader_audit", "whether anything but the pictures gives the answer away"),
    "serve": ("reader_serve", "the study in the browser, on this machine or a shared server"),
    "invite": ("reader_invite", "a link for one reader"),
    "export": ("reader_export", "answers as tables, once the readers are done"),
    "analyse": ("reader_analyse", "what the readers could tell, how sure that is, with a report"),
}

_ABOUT = "Reader studies: can clinicians tell synthetic images from real ones?"


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    return run_command("reader", COMMANDS, arguments, about=_ABOUT)
