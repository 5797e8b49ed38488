"""The native types: rows of the table, and those with rules of their own."""
