"""On-disk directories that every verb reads and writes: manifest, provenance, atomic writing."""
