"""Shared kernel: what every service is built on. No domain noun; imports no service."""
