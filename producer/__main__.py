"""`python -m producer` is `gristmill`."""

from producer.cli import main

if __name__ == "__main__":
    main()
