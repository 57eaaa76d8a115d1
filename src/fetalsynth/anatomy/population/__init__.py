"""A population of brains: aligned, registered, regressed on age; new brains and ages between.

Velocities are torch tensors (3, I, J, K), float32, in mm of the mean frame: the heads' own axes
(right, anterior, superior) with the origin at the head's centre and every head scaled alike.
Nothing here reads or writes files.
"""
