"""People: the accounts and teams of this platform as resources. Reads only, and nothing outside."""
