"""Model families: one module each, behind one protocol, listed in `catalogue`."""
