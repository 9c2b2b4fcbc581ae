"""`/settings`: what people and accounts set. One file for each page, `desk.py` for what they share."""
