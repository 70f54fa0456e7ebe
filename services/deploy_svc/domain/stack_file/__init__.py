"""From stack files of Kontena (`kontena.yml`) to the document of a stack. `stack.py` is where it begins."""
