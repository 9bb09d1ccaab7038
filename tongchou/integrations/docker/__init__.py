"""Docker: containers, images, networks, volumes and compose projects of an engine of this host. GET only."""
