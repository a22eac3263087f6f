"""Receivers on a virtual clock, and the real controls of lanes that send to them."""
