"""Task definitions and their vectorised environments."""
