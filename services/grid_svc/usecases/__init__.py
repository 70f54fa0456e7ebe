"""What callers can do with grids, nodes and sessions."""
