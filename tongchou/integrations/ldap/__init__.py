"""Passwords of a directory (LDAP, Active Directory). Knows the directory; must not decide what a role may do."""
