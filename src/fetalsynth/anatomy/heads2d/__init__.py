"""Heads in two-dimensional ultrasound: their label maps, and new ones from what is known of heads.

``labels`` draws a head and measures one again, ``growth`` takes sizes from a growth standard,
``placing`` puts a head into a picture, ``likeness`` draws heads like those of a data set.
"""
