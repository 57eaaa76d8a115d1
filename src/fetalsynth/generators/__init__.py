"""One module per family of generators: networks, loss, one training step, sampling."""
