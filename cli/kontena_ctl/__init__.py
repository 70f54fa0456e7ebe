"""`kontena-ctl` (short `kctl`): the command line of Kontena Master."""
