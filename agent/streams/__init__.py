"""Long-lived calls to the master: what the node tells and is told."""
