"""Who may send what: API keys, advertisers' postback secrets, limits, and whose address a request really has."""
