"""Importing: files of events, and of links, taken in line by line; what cannot be is given back with the reason."""
