"""Users, roles, grid membership, OAuth2, access tokens and the audit log."""
