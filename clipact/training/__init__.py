"""Train thresholds, a stage at a time, in any training loop."""
