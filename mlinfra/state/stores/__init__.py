"""Where state can live, one file a store; ``opening`` picks one by the spec's ``state:`` block."""
