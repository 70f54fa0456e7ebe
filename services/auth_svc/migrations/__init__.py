"""The alembic history of the schema `auth`."""
