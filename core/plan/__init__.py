"""What a recipe needs on a machine that is not here, from that machine's own compiler."""
