"""libvirt: hypervisors and their machines, disks, interfaces, networks and pools, asked through virsh. Reads only."""
