"""Tests in a real browser, against a served platform."""
