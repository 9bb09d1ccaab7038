"""SNMP: what devices of listed addresses tell of themselves, their interfaces and their neighbours."""
