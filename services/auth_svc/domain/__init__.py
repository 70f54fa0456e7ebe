"""Pure rules of accounts, tokens and the OAuth2 requests."""
