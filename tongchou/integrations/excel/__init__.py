"""Spreadsheets: rows of an .xlsx, .csv or .json that people keep, as things of the inventory. Reads only."""
