"""Hand-kept tables that travel with the package."""
