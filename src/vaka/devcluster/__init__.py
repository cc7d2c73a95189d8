"""A real Kubernetes for a bare Linux machine: a one-node cluster, or only its control plane for tests."""
