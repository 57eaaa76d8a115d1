"""The fetal head measured on an ultrasound image alone: an ellipse along the skull, no label.

``picture`` brings any image to the grid that all else works on, ``ridges`` finds bright lines and
their directions, ``rings`` scores ellipses by how much of them lies on such lines, ``search`` tries
all ellipses coarsely and ``refining`` moves the best ones, ``border`` goes from the middle of the
skull to its outer border, and ``fit`` is the whole.
"""
