"""Measurements, each beside its peer in the same run where a peer is installed. `make bench` runs them all."""
