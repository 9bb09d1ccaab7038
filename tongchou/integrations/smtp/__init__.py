"""The mail channel: a notification as text and HTML, threaded by group, over SMTP with or without TLS.

It must not know the database; it gets settings, a secret and a message, and gives back an outcome.
"""
