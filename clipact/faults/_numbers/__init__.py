"""Intervals, sample sizes and rules to stop by."""
