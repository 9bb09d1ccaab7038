"""What the ASGI application and the views agree on beyond the protocol."""

# Key in the scope of a request: a threading.Event that is set once the client has gone away before it was answered.
CLIENT_GONE = "tongchou.client_gone"
