"""Study statistics: intervals, tests, effect sizes, regressions; pure functions on arrays."""
