"""The training loop, augmentation, moving average, checkpoints, resume."""
