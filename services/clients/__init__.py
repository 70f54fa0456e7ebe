"""Typed clients of one service's API that several other services share. See docs/adr/0004-shared-clients.md."""
