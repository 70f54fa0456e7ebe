"""SQL of grids, nodes and sessions."""
