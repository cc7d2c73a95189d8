"""Pure builders: what Kubernetes objects a resource needs, as plain dicts."""
