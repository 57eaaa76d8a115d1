"""Image features that distances between sets are computed in."""
