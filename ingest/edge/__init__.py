"""What the edge learns about a visitor from one request: where from, with what, and what may be kept of it."""
