"""The tables of the projections, and the statements over them, one a file; names in braces are put in."""
