"""Terraform and OpenTofu: what their state says exists. Reads only; what a state marks as sensitive is never read."""
