"""Each synthetic image against the real one that it was made to look like."""
