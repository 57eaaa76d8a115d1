"""``fetalsynth anatomy microcephaly``."""

from fetalsynth.cli.anatomy_edit_others import microcephaly as run

__all__ = ["run"]
