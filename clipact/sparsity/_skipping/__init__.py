"""Linear layers that skip zero inputs."""
