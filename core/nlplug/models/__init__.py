"""Model bundles: the folder format, finding models, and packing them."""
