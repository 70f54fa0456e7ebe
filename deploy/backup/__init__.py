"""Backups of an installation: its database and its keys in one file, encrypted with a passphrase."""
