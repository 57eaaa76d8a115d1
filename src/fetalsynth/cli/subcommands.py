"""Verbs that are several commands, each a module of its own, imported only when it is given."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches

from fetalsynth.errors import UserError

Commands = Mapping[str, tuple[str, str]]  # command: (module, what it does)


def run_command(
    verb: str,
    commands: Commands,
    arguments: list[str],
    *,
    about: str,
    more: Callable[[], list[str]] = list,
) -> int:
    """Run one command of ``verb``; returns the exit code.

    The help says ``about`` first, and the lines of ``more`` after the commands. Raises UserError
    for a command that does not exist.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(verb, commands, about=about, more=more()))
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in commands:
        close = get_close_matches(name, commands, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(commands)}"
        raise UserError(f"there is no command '{verb} {name}'; {hint}")
    code: int = importlib.import_module(f"fetalsynth.cli.{commands[name][0]}").run(rest)
    return code


def _help(verb: str, commands: Commands, *, about: str, more: list[str]) -> str:
    width = max(map(len, commands))
    return "\n".join(
        [
            about,
            "",
            f"usage: fetalsynth {verb} COMMAND …",
            "",
            *(f"  {name:<{width}}  {text}" for name, (_, text) in commands.items()),
            "",
            *([*more, ""] if more else []),
            f"fetalsynth {verb} COMMAND --help tells what a command takes. Not for clinical use.",
        ]
    )
