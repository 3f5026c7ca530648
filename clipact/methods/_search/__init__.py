"""What methods that search for thresholds share: accuracy with and without faults, ranges that scale, searches."""
