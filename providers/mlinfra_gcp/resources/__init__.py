"""Native types of Google Cloud, a family a file: rows of the table, and the few types with a way of their own."""
