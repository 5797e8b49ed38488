"""State that cannot be lost: a journal of create-only segments and a snapshot, over a small blob store."""
