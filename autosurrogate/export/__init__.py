"""Writing exported losses, and reading them."""
