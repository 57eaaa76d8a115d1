"""Metrics as pure functions on arrays, feature extractors, and the suite that runs them."""
