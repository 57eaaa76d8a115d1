"""Label maps and biometry as geometry."""
