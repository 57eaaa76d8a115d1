"""Label maps measured in millimetres and millilitres, as a radiologist would."""

from fetalsynth.anatomy.measure.measuring import Measurements, measure

__all__ = ["Measurements", "measure"]
