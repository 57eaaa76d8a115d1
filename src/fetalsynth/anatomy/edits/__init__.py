"""Label maps with another anatomy: tissue pushed by smooth invertible maps, or dilated."""
