"""What a wide random layer does to the variance of a signal: closed forms in pure Python, float64."""
