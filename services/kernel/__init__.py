"""Shared kernel: no domain noun, and nothing that only one service uses."""
