"""``fetalsynth anatomy external-csf``."""

from fetalsynth.cli.anatomy_edit_others import external_csf as run

__all__ = ["run"]
