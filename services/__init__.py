"""The gRPC services of the suite. One folder each, with the same rooms; `kernel` is what they share."""
