"""`accredit forget`: make a session or a customer unreadable everywhere, and prove it by search."""
