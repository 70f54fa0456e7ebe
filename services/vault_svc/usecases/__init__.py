"""One file per noun: what a caller can do, and the transaction it happens in."""
