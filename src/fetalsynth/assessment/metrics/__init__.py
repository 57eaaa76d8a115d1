"""One metric per module: pure functions on arrays, no files, no torch."""
