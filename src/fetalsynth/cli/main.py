"""The console script: finds the verb and runs its module; ``--help`` imports nothing heavy."""

from __future__ import annotations

import importlib
import os
import sys

from fetalsynth import __version__

VERBS = {
    "quickstart": "the main job on phantom data: train, generate, assess, report",
    "data": "make, import, download and check images and volumes",
    "train": "train a generator from a recipe",
    "generate": "make images with a trained model, or volumes from label maps",
    "model": "models that ship with the package: list them, pack a trained one",
    "assess": "measure how good synthetic images are, with a report",
    "study": "a grid of trainings from one recipe, measured, analysed and reported",
    "anatomy": "measure and check label maps of fetal brains, make new ones",
    "reader": "reader studies: make, audit, serve and analyse them",
    "doctor": "versions, devices, optional parts and how to get them",
}

USAGE = "usage: fetalsynth VERB …"


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; returns the exit code (0 done, 2 something the user can mend, 130 stopped)."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"fetalsynth {__version__}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        return _fail(f"there is no verb {verb!r}; {_suggestion(verb)}")
    return _run(verb, rest)


def _run(verb: str, rest: list[str]) -> int:
    from fetalsynth.errors import UserError

    try:
        code: int = importlib.import_module(f"fetalsynth.cli.{verb}").run(rest)
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("fetalsynth: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            f"fetalsynth {__version__}: generators for scarce fetal imaging, honestly assessed",
            "",
            USAGE,
            "",
            *lines,
            "",
            "fetalsynth VERB --help tells what a verb takes. Not for clinical use.",
        ]
    )


def _suggestion(verb: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(verb, VERBS, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(VERBS)}"


def _fail(message: str) -> int:
    print(f"fetalsynth: error: {message}", file=sys.stderr)
    return 2
