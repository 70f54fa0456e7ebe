"""The OpenAPI document of the public API, made from the protos."""
