"""What networks can be told of how an image was augmented.

The numbers come from :mod:`fetalsynth.training.augmentation`, each as a share of its range.
"""

AUGMENTED = 5  # mirrored, turned, zoomed, moved across, moved down
