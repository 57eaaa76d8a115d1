"""``fetalsynth anatomy cerebellar-hypoplasia``."""

from fetalsynth.cli.anatomy_edit_others import cerebellar_hypoplasia as run

__all__ = ["run"]
