"""`accredit demo`: a short story through a fresh installation, told as it happens.

- `console.demo.story`: who does what, and what must come of it.
- `console.demo.visitor`: a browser that clicks and a shop that reports, through real HTTP.
- `console.demo.command`: the command.
"""
