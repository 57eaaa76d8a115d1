"""``fetalsynth reader analyse``: what the readers could tell, how sure that is, with a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.reader.analysis_rows import Row
    from fetalsynth.reader.analysis_scores import SetScores

_COMMAND = "fetalsynth reader analyse"


@dataclass(frozen=True)
class Analyse:
    """Analyse the answers of a reader study: detection, chance, agreement, quality, conduct."""

    answers: Annotated[Path, tyro.conf.Positional]
    """Folder that `reader export` made, or a file like its answers.csv."""
    out: Path
    """Folder for the report, the tables and the scores."""
    margin: float = 0.10
    """Equivalence to guessing: accuracy within one half plus or minus this."""
    scores: tuple[Path, ...] = ()
    """Folders that `assess` made, of the sets the readers saw, to set metrics against answers."""
    seed: int = 0
    """Seed of resampling."""


def run(arguments: list[str]) -> int:
    """Run the command: 0. Raises UserError for answers that cannot be analysed."""
    wanted = tyro.cli(Analyse, args=arguments, prog=_COMMAND)

    from fetalsynth.artifacts.building import building, is_done
    from fetalsynth.reader.analysis import analyse, write_analysis
    from fetalsynth.reader.analysis_rows import ANSWERS, read_rows
    from fetalsynth.reports.reader import write_report

    if wanted.answers.is_dir() and wanted.out.resolve().is_relative_to(wanted.answers.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder of answers; choose another")
    path = wanted.answers / ANSWERS if wanted.answers.is_dir() else wanted.answers
    rows = read_rows(path)
    source = _input(wanted.answers, path)
    manifest = _draft(wanted, source)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return 0
    record = analyse(
        rows,
        margin=wanted.margin,
        scores=_scores(wanted, rows, source),
        log_problems=_log_problems(source),
        seed=wanted.seed,
    )
    with building(wanted.out, manifest) as folder:
        inputs: dict[str, dict[str, Any]] = {
            "answers": {"path": str(path), "digest": source.digest, "count": len(rows)}
        }
        write_analysis(folder, record, rows, inputs=inputs)
        write_report(folder, manifest)
    _print(record)
    print(f"report: {wanted.out / 'report.html'}")
    return 0


def _input(given: Path, path: Path) -> Input:
    from fetalsynth.artifacts.digest import digest_file
    from fetalsynth.artifacts.manifest import Input, input_from, is_artifact

    if given.is_dir() and is_artifact(given):
        return input_from(given, role="answers", kind="scores")
    return Input(role="answers", path=str(path), digest=digest_file(path))


def _draft(wanted: Analyse, source: Input) -> Manifest:
    from fetalsynth.artifacts.manifest import draft, input_from

    inputs = [input_from(folder, role="scores", kind="scores") for folder in wanted.scores]
    return draft(
        kind="scores",
        configuration={"reader_analysis": 1, "margin": wanted.margin},
        inputs=(source, *inputs),
        synthetic=True,
        seed=wanted.seed,
    )


def _scores(wanted: Analyse, rows: list[Row], source: Input) -> list[SetScores]:
    """Scores by set; the digests of the sets stand in the manifest of the study."""
    from fetalsynth.reader.analysis_scores import read_set_scores

    if not wanted.scores:
        return []
    sets = sorted({row.set for row in rows if row.truth == "synthetic" and row.role == "main"})
    above = source.manifest.inputs if source.manifest else ()
    studies = [item.manifest for item in above if item.role == "study" and item.manifest]
    digests = {item.role: item.digest for study in studies for item in study.inputs}
    return read_set_scores(wanted.scores, sets=sets, digests=digests)


def _log_problems(source: Input) -> list[str]:
    """What the export found wrong with the log of answers; nothing of a table made elsewhere."""
    log = source.manifest.facts.get("log", {}) if source.manifest else {}
    return [str(problem) for problem in log.get("problems", ())]


def _print(record: dict[str, Any]) -> None:
    from fetalsynth.reports.reader_verdict import judge_readers

    verdict = judge_readers(record)
    print(f"{verdict.heading}: {verdict.sentence}")
    for each in record["caveats"]:
        print(f"note: {each['reason']}")
