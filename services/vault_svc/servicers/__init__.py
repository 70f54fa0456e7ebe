"""Translate RPCs into use cases and answers into messages."""
