"""NetBox: sites, racks, devices, addresses and machines that somebody documents there. Reads only."""
