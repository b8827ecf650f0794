"""driftline: production machine-learning models watched by the observability stack you already run."""
