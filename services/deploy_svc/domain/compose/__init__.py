"""From compose files to the document of a stack. `stack.py` is where it begins, `keys.py` says what keys become."""
