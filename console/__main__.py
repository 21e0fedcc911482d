"""``python -m console``: the same as ``accredit``; `accredit up` starts its processes by it."""

from console.main import main

if __name__ == "__main__":
    main()
