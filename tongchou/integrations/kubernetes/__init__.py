"""Kubernetes: nodes, namespaces, workloads, pods, services and ingresses of a cluster. GET only."""
