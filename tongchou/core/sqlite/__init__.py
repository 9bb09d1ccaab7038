"""SQLite as Django's database engine, with a fair writer queue inside the process."""
