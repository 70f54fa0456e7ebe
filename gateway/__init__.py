"""The edge: renders the configuration of the Envoy proxy that stands in front of the suite."""
