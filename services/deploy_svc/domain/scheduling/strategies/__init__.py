"""Strategies, one per file. Each picks one of the nodes that the filters kept."""
