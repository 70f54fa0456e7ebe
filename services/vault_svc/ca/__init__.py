"""The certification authority: ACME v2 (RFC 8555) over a blocking library, and the DNS records it will look for."""
