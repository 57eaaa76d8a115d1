"""Grids of runs: planned, executed, analysed."""
