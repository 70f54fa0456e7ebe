"""Where instances go: filters drop nodes and say why, a strategy picks one. Pure."""
