"""Migrations of the schema `vault`."""
