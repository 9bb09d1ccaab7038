"""Tables: what a list is made of, whatever its rows are. It knows columns, filters, places, views, exports and batches.

It must not know any room's noun: each room declares its tables in its file `tables.py`, found by name at start.
"""
