"""``fetalsynth reader``: reader studies made, audited, served and analysed.

Every command is a module of its own with ``run(arguments)``, imported only when it is given.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from fetalsynth.errors import UserError

COMMANDS = {  # command: (module, what it does)
    "new": ("reader_new", "a blinded study from real and synthetic images or volumes"),
    "audit": ("reader_audit", "whether anything but the pictures gives the answer away"),
    "serve": ("reader_serve", "the study in the browser, on this machine or a shared server"),
    "invite": ("reader_invite", "a link for one reader"),
    "export": ("reader_export", "answers as tables, once the readers are done"),
    "analyse": ("reader_analyse", "what the readers could tell, how sure that is, with a report"),
}

_USAGE = "usage: fetalsynth reader COMMAND …"


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Raises UserError for one that does not exist."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        close = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
        raise UserError(f"there is no command 'reader {name}'; {hint}")
    code: int = importlib.import_module(f"fetalsynth.cli.{COMMANDS[name][0]}").run(rest)
    return code


def _help() -> str:
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            "Reader studies: can clinicians tell synthetic images from real ones?",
            "",
            _USAGE,
            "",
            *(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()),
            "",
            "fetalsynth reader COMMAND --help tells what a command takes. Not for clinical use.",
        ]
    )
