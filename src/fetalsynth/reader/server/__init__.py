"""The web application in which readers work: pages, answers and stimuli, and nothing of the key."""
