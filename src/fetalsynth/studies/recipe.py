"""Study recipes: the grid of trainings, what is made and measured, and how it is analysed."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fetalsynth.assessment.pairing import Pairing
from fetalsynth.assessment.profiles import ProfileName
from fetalsynth.errors import UserError, explaining

SHIPPED = Path(__file__).parent / "recipes"
Scalar = bool | int | float | str | None
Value = Scalar | tuple[Scalar, ...]
RECIPE = "recipe"  # the factor that chooses the training recipe itself


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Arm(_Strict):
    """One experiment: every combination of ``grid``, each beside the rows of ``zip``, by seeds.

    Settings are named as on the command line of ``fetalsynth train``, with dots. The factor
    ``recipe`` takes another training recipe. ``epochs`` in a grid are snapshots of one training.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str = ""
    recipe: str
    settings: dict[str, Value] = {}
    grid: dict[str, tuple[Value, ...]] = {}
    zip: dict[str, tuple[Value, ...]] = {}
    seeds: tuple[int, ...] = Field((0,), min_length=1)

    @model_validator(mode="after")
    def _factors_are_sound(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds lists one twice")
        lengths = {len(values) for values in self.zip.values()}
        if len(lengths) > 1:
            raise ValueError("the lists of zip must be equally long, they go together")
        for name, values in {**self.grid, **self.zip}.items():
            if not values:
                raise ValueError(f"{name} has no values")
        for name, values in self.grid.items():
            if len({repr(value) for value in values}) != len(values):
                raise ValueError(f"{name} lists a value twice")
        twice = (self.grid.keys() & self.zip.keys()) | (self.settings.keys() & self.factors())
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))}: stands in two of settings, grid and zip")
        return self

    def factors(self) -> tuple[str, ...]:
        """Names of what varies, those of the grid first."""
        return (*self.grid, *self.zip)


class Generation(_Strict):
    """What each trained network makes: ``n`` images, or a volume for each label map."""

    n: int | None = Field(None, ge=8)
    weights: Literal["averaged", "raw"] | None = None
    labels_split: Literal["train", "test"] | None = "test"
    fusion: tuple[str, ...] = Field(("mean",), min_length=1)


class Judge(_Strict):
    """A network that finds labels in volumes again; trained once, with seed 0."""

    recipe: str
    settings: dict[str, Value] = {}


class Assessment(_Strict):
    """How each set is measured; options as on the command line of ``fetalsynth assess``."""

    profile: ProfileName = "small-n"
    pairing: Pairing = "all-pairs"
    exclude_outside_fan: bool = False
    judge: Judge | None = None


class Analysis(BaseModel):
    """One item of the analysis plan; ``kind`` says which other settings it takes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    name: str = ""
    arm: str | None = None
    metrics: tuple[str, ...] = ()


class Figure(BaseModel):
    """One figure of the report; ``kind`` says which other settings it takes."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str
    arm: str | None = None
    metrics: tuple[str, ...] = ()


class StudyRecipe(_Strict):
    """A whole study but for its data."""

    name: str
    description: str = ""
    modality: Literal["ultrasound", "mri"]
    arms: tuple[Arm, ...] = Field(min_length=1)
    generate: Generation
    assess: Assessment = Assessment()
    analysis: tuple[Analysis, ...] = ()
    figures: tuple[Figure, ...] = ()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have one name")
        asked = [(item.kind, item.arm) for item in self.analysis]
        asked += [(item.kind, item.arm) for item in self.figures]
        for kind, arm in asked:
            if arm is not None and arm not in names:
                raise ValueError(f"{kind}: there is no arm {arm}")
        if self.modality == "ultrasound" and self.generate.n is None:
            raise ValueError("generate.n: say how many images each set has")
        if self.modality == "mri" and self.generate.n is not None:
            raise ValueError("generate.n: one volume is made for each label map; leave it out")
        if self.modality == "ultrasound" and self.assess.judge is not None:
            raise ValueError("assess.judge: finds labels in volumes only; leave it out")
        return self


def study_names() -> list[str]:
    """Names of the studies that ship with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_study(name_or_path: str) -> StudyRecipe:
    """Read a study by the name of a shipped one or from a YAML file; UserError if it is faulty.

    Training recipes that it names by a path are looked for beside the file.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SHIPPED / f"{name_or_path}.yaml"
        if name_or_path not in study_names():
            close = get_close_matches(name_or_path, study_names(), n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UserError(
                f"there is no study {name_or_path!r}; {hint}"
                f"shipped are {', '.join(study_names())}; your own is a path that ends in .yaml"
            )
    return parse_study(_rooted(_read_yaml(path), beside=path.resolve().parent), where=str(path))


def parse_study(raw: Any, *, where: str) -> StudyRecipe:
    """Validate a mapping as a study; UserError lists what is wrong, setting by setting."""
    if not isinstance(raw, dict):
        raise UserError(f"{where}: a study is a mapping of settings, see the shipped ones")
    try:
        return StudyRecipe.model_validate(raw)
    except ValidationError as error:
        found = error.errors()
        places = [item["loc"] for item in found]
        # a list whose items are faulty is said to be too short as well
        shown = [
            item
            for item in found
            if item["type"] != "too_short"
            or not any(place[: len(item["loc"])] == item["loc"] != place for place in places)
        ]
        said = "; ".join(_sentence(item) for item in shown)
        raise UserError(f"{where}: {said}") from error


def _sentence(item: Any) -> str:
    setting = ".".join(str(part) for part in item["loc"]) or "study"
    if item["type"] == "extra_forbidden":
        models = (StudyRecipe, Arm, Generation, Assessment, Judge)
        known = [field for model in models for field in model.model_fields]
        close = get_close_matches(setting.rsplit(".", maxsplit=1)[-1], known, n=1)
        return f"{setting} is no setting" + (f" (did you mean {close[0]}?)" if close else "")
    return f"{setting}: {item['msg'].removeprefix('Value error, ')}"


def _rooted(raw: Any, *, beside: Path) -> Any:
    """``raw`` with relative paths of training recipes made absolute."""
    if isinstance(raw, Mapping):
        return {
            key: _path(value, beside) if key == RECIPE else _rooted(value, beside=beside)
            for key, value in raw.items()
        }
    if isinstance(raw, list):
        return [_rooted(value, beside=beside) for value in raw]
    return raw


def _path(value: Any, beside: Path) -> Any:
    if isinstance(value, list):
        return [_path(one, beside) for one in value]
    is_file = isinstance(value, str) and value.endswith((".yaml", ".yml"))
    return str(beside / value) if is_file else value


def _read_yaml(path: Path) -> Any:
    import yaml

    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
