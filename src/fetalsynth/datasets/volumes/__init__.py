"""Volume sets: sources of fetal brain MRI with label maps, and the cube that a model sees."""
