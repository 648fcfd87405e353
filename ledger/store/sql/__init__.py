"""The statements of the store, one a file, named for what they answer."""
