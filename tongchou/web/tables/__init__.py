"""How tables look as pages: cells, filters, columns, saved views, changes of many rows, import."""
