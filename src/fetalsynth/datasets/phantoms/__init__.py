"""Simulated images with known anatomy: no download, no patient."""
