"""HTTP/1.1 for the front door: connections, and the processes that take them."""
