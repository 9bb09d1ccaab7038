"""This host: what psutil and the kernel tell about the machine the platform runs on. Reads only."""
