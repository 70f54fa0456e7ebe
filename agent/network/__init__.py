"""The network of the grid on this node."""
