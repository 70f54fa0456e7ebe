"""Pure rules: keys, the envelope around a value, and what a secret may be."""
