"""What campaigns found: rows as columns, sums of them, and comparisons."""
