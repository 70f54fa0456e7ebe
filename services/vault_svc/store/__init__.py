"""SQL of the schema `vault`."""
