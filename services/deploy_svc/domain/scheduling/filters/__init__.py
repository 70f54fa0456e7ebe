"""Filters, one per file. Each keeps some of the nodes it is given and says why it refused the others."""
