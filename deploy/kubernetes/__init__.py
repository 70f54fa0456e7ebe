"""Manifests for Kubernetes, and the table of calls that they follow."""
