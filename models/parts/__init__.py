"""Parts of the systems: adapters, losses, initial weights, what trains."""
