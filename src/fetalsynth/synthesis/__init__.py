"""From a trained model to images on disk."""
