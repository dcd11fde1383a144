"""What videos that meet a condition have in common: cohorts of a corpus compared, features correlated with a metric, a metric over time."""
