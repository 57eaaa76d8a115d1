"""Train, sample and honestly assess image generators for scarce fetal imaging.

Not for clinical use.
"""

__version__ = "0.1.0"
