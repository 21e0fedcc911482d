"""How Accredit is run: `local` on one machine, containers and charts elsewhere."""
