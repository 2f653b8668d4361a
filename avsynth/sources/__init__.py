"""Where categories, masks and audio clips come from."""
