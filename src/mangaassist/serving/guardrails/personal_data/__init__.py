"""Personal data: recognisers, what they find, and what becomes of it by purpose."""
