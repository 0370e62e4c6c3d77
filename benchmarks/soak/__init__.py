"""Rows and files under fire: writers, two daemons, and whatever kills, stops and locks them."""
