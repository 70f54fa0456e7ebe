"""One module per noun; each verb owns its transaction."""
