"""The page: static files that a browser gets from the server, and the routes that send them."""
