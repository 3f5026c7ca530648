"""The training of thresholds inside other people's training loops; each needs its extra."""
