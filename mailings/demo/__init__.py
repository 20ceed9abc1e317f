"""The made-up school of the first start."""
