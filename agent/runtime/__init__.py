"""What runs containers: a Docker Engine, or nothing at all (hollow)."""
