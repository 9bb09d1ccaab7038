"""A Django backend: PostgreSQL that is not waited for without end."""
