"""What methods that train thresholds have in common."""
