"""The ``accredit`` command and the web page.

What to import from here:

- `console.main`: ``main``, the command itself; each subcommand is a module of its own, loaded when it is asked for.
- `console.settings`: the environment, read in this one place.
- `console.installation`: where the parts of a running installation are.
- `console.supervisor`: keeps the processes of one machine running.

Nothing is imported by this module itself.
"""
