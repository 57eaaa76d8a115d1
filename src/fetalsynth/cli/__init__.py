"""One module per verb; heavy libraries are imported when a verb runs."""
