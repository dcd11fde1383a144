"""Cells of warm model actors on Ray, and what drives them."""
