"""Translators between gRPC and use cases."""
