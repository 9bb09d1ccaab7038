"""A sweep: which of the listed addresses are in use, by connecting to TCP ports."""
