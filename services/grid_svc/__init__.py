"""Grids, nodes and their sessions."""
