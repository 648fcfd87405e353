"""What the training loader guard asks of released items, one statement a file; names in braces are put in."""
