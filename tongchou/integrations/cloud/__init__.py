"""Inventories of clouds as their own command lines export them: files, and no credentials of a cloud here."""
