"""One module per image source; each yields the same records."""
