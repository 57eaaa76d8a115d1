"""The parts of an assessment: each turns samples into metrics and the alarms that rest on them."""
