"""The webhook channel: Alertmanager's JSON body, signed as Standard Webhooks signs.

It must not know the database; it gets settings, a secret and a message, and gives back an outcome.
"""
