"""Named, complete training configurations; importing one imports no torch and no other recipe."""
