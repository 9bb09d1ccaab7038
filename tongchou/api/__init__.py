"""/api/v1: one typed file a room; OpenAPI comes out of it.

Views parse and check, actions write. Errors are RFC 9457 problems.
"""
