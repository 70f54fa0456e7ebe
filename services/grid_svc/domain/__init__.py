"""Rules of grids, nodes and sessions; pure."""
